import { written } from '../../core/known-fields.ts'

/** The name of a schema. It becomes part of every statement, so nothing but plain names is let in. @throws `TypeError`. */
export function checkedSchema(schema: string): string {
  if (typeof schema === 'string' && /^[a-z_][a-z0-9_]{0,39}$/.test(schema)) return schema
  throw new TypeError(
    `schema must be up to 40 letters, digits and underscores in lower case, not ${written(schema)}`,
  )
}
