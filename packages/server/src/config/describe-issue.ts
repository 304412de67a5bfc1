import type { BaseIssue } from 'valibot'
import { configSchema, derivedKeySchema, routeSchema } from './config-schema.ts'
import { nearest } from './nearest.ts'
import { shownValue } from './print-config.ts'
import type { SchemaNode } from './settings.ts'
import { tokenFromSchema } from './token-from.ts'

/** Says in one line what is wrong with the configuration, where, and which name was probably meant. */
export function describeIssue(issue: BaseIssue<unknown>): string {
  const path = issue.path ?? []
  const where = path.map((item) => item.key)
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const known = knownNames(where)
    const meant = nearest(String(where.at(-1)), known)
    return `${pathText(where)} is not a known field; ${meant ? `did you mean ${meant}?` : `known are ${known.join(', ')}`}`
  }
  if (issue.type === 'strict_object' && issue.received === 'undefined' && path.length > 0) {
    return `${pathText(where.slice(0, -1)) || 'the configuration'} needs ${String(where.at(-1))}`
  }
  if (issue.type === 'strict_object') return `${pathText(where) || 'the configuration'}: give an object`
  return `${pathText(where)}: ${issue.message}, not ${shownValue(String(where.at(-1)), issue.received)}`
}

function knownNames(where: readonly unknown[]): string[] {
  return Object.keys((schemaOf(where) as unknown as SchemaNode).entries ?? {})
}

function schemaOf(where: readonly unknown[]): unknown {
  if (where[0] !== 'routes') return configSchema
  if (where.length <= 3) return routeSchema
  return where[2] === 'tokenFrom' ? tokenFromSchema : derivedKeySchema
}

function pathText(where: readonly unknown[]): string {
  return where
    .map((key, index) =>
      typeof key === 'number' ? `[${key}]` : index === 0 ? String(key) : `.${String(key)}`,
    )
    .join('')
}
