import type { BaseIssue } from 'valibot'
import { configSchema, derivedKeySchema, routeSchema } from './config-schema.ts'
import { nearest } from './nearest.ts'
import { shownValue } from './print-config.ts'
import type { SchemaNode } from './settings.ts'

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
  const schema = where[0] !== 'routes' ? configSchema : where.length <= 3 ? routeSchema : derivedKeySchema
  return Object.keys((schema as unknown as SchemaNode).entries ?? {})
}

function pathText(where: readonly unknown[]): string {
  return where
    .map((key, index) =>
      typeof key === 'number' ? `[${key}]` : index === 0 ? String(key) : `.${String(key)}`,
    )
    .join('')
}
