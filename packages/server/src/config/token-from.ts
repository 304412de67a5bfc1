import type { TokenSource } from 'onceward/http'
import * as v from 'valibot'
import { cookieName, fieldName, text } from './fields.ts'

/** Where the requests of a route carry their one-time token, as configured. */
export interface TokenFromConfig {
  header?: string | undefined
  field?: string | undefined
  cookie?: string | undefined
}

/** The same names as `tokenFrom` of the middlewares. */
export const tokenFromSchema: v.GenericSchema<unknown, TokenFromConfig> = v.pipe(
  v.strictObject({
    header: v.optional(fieldName('A request header that holds the token.')),
    field: v.optional(
      text('A field of the body that holds it: of a form, with parts too, or at the top of a JSON object.'),
    ),
    cookie: v.optional(cookieName('A cookie that holds it, such as tokenCookie sets.')),
  }),
  v.description(
    'Where requests with an issued key carry it. Default: { "header": "Idempotency-Key" }, quoted or not.',
  ),
)

/** The places that are named; nothing without any setting. */
export function tokenSource(config: TokenFromConfig | undefined): TokenSource | undefined {
  if (config === undefined) return undefined
  const { header, field, cookie } = config
  return {
    ...(header === undefined ? {} : { header }),
    ...(field === undefined ? {} : { field }),
    ...(cookie === undefined ? {} : { cookie }),
  }
}
