import { deriveKey, OncewardError } from 'onceward'
import type { KeyedRequest } from 'onceward/http'
import type { DerivedKeyConfig } from '../config/config-schema.ts'

/**
 * Makes the function that derives a key from named fields of the JSON body and the header.
 *
 * Every named field must be there and be text, a number or true/false: a key built from missing parts would be shared
 * by everybody.
 *
 * @throws `KEY_MISSING` that names the field that is not there; `TypeError` (answered as `request-invalid`) for a body that is not JSON, or a field that is a list or an object.
 */
export function keyDeriver(config: DerivedKeyConfig): (request: KeyedRequest, body: Uint8Array) => string {
  const jsonFields = config.json ?? []
  const headerFields = (config.headers ?? []).map((name) => name.toLowerCase())
  return (request, body) => {
    const parts: Record<string, unknown> = {}
    for (const name of headerFields) {
      const values = request.headers.filter(([field]) => field.toLowerCase() === name)
      const value = values[0]?.[1]
      if (values.length !== 1 || value === undefined || value === '') {
        throw missing(
          values.length > 1
            ? `needs one header field ${name}, not several`
            : `needs the header field ${name}`,
        )
      }
      parts[`header ${name}`] = value
    }
    const json = jsonFields.length === 0 ? undefined : parsed(body)
    for (const path of jsonFields) {
      const value = valueAt(json, path)
      if (value === undefined || value === null || value === '') throw missing(`needs the JSON field ${path}`)
      if (typeof value === 'object')
        throw new TypeError(`the field ${path} must be text or a number to derive a key from`)
      parts[`json ${path}`] = value
    }
    return deriveKey(parts)
  }
}

function missing(what: string): OncewardError {
  return new OncewardError('KEY_MISSING', `The key of this request is derived, and ${what}.`)
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new TypeError('the key is derived from the JSON body, and the body is not JSON')
  }
}

function valueAt(value: unknown, path: string): unknown {
  let found = value
  for (const name of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}
