import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import type { HeaderPairs } from './types.ts'

/** The fields of a request as they came, repeated ones kept apart. */
export function requestPairs(req: NodeRequest): HeaderPairs {
  const pairs: [string, string][] = []
  for (let at = 0; at + 1 < req.rawHeaders.length; at += 2) {
    pairs.push([req.rawHeaders[at] as string, req.rawHeaders[at + 1] as string])
  }
  return pairs
}

/** The fields set on a response so far. */
export function responsePairs(res: NodeResponse): HeaderPairs {
  return rawHeaderNames(res).flatMap((name) => {
    const value = res.getHeader(name)
    return valuesOf(value).map((one) => [name, one] as const)
  })
}

/** Sets fields, replacing those of the same name. */
export function setPairs(res: NodeResponse, pairs: HeaderPairs): void {
  const values = new Map<string, { readonly name: string; readonly values: string[] }>()
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase()
    const known = values.get(lower)
    if (known) known.values.push(value)
    else values.set(lower, { name, values: [value] })
  }
  for (const { name, values: all } of values.values())
    res.setHeader(name, all.length === 1 ? (all[0] as string) : all)
}

/** The fields given to `writeHead`: an object, a flat list or a list of pairs. */
export function writeHeadPairs(headers: unknown): HeaderPairs {
  if (typeof headers !== 'object' || headers === null) return []
  if (!Array.isArray(headers)) {
    return Object.entries(headers as OutgoingHttpHeaders).flatMap(([name, value]) =>
      valuesOf(value).map((one) => [name, one] as const),
    )
  }
  if (Array.isArray(headers[0])) {
    return (headers as [string, OutgoingHttpHeader][]).flatMap(([name, value]) =>
      valuesOf(value).map((one) => [name, one] as const),
    )
  }
  const pairs: [string, string][] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    for (const one of valuesOf(headers[at + 1] as OutgoingHttpHeader)) pairs.push([String(headers[at]), one])
  }
  return pairs
}

/** Names as they were set. HTTP/2 has lower-case ones only, and the types know the method of client requests only. */
function rawHeaderNames(res: NodeResponse): readonly string[] {
  const { getRawHeaderNames } = res as { getRawHeaderNames?(): string[] }
  return getRawHeaderNames ? getRawHeaderNames.call(res) : res.getHeaderNames()
}

function valuesOf(value: OutgoingHttpHeader | undefined): readonly string[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value.map(String) : [String(value)]
}
