import type { Clock } from '../../core/clock.ts'
import { atLeast, refuseUnknown } from '../../core/known-fields.ts'
import { systemClock } from '../../core/system.ts'
import {
  checkAge,
  fieldOf,
  headerOf,
  keysOf,
  matches,
  neededHeader,
  noMatch,
  parsed,
  rawBody,
  type Secrets,
  TOLERANCE_MS,
} from './signature.ts'
import type { Webhooks } from './webhook-types.ts'

/** Options of `standardWebhooks`. */
export interface StandardWebhooksOptions {
  /** `whsec_` and base64, as the sender shows it; or the bytes. A list while secrets are rotated. */
  readonly secret: Secrets<string | Uint8Array>
  /** How far the signed time may be off, either way, in ms. Default five minutes. */
  readonly toleranceMs?: number
  readonly clock?: Clock
}

const BASE64 = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/

/**
 * Checks webhooks of the Standard Webhooks specification (version 1, symmetric), and those of Svix, whose headers begin with
 * `svix-`. The id and the time are signed with the body, so that a captured request is good for `toleranceMs` only, and for
 * its own id.
 *
 * @throws `TypeError` for a missing or malformed secret, or one of fewer than 16 bytes, at once.
 * @example
 * const webhooks = standardWebhooks({ secret: process.env['WEBHOOK_SECRET'] ?? '' })
 */
export function standardWebhooks(options: StandardWebhooksOptions): Webhooks {
  refuseUnknown('the options of standardWebhooks', options, ['secret', 'toleranceMs', 'clock'])
  const keys = keysOf('standardWebhooks', options.secret, (secret) => {
    if (typeof secret !== 'string') return secret
    const base64 = BASE64.exec(secret)?.[1]
    if (base64 === undefined)
      throw new TypeError(
        'the secret of standardWebhooks must be base64, behind `whsec_` or not; or give its bytes',
      )
    return Buffer.from(base64, 'base64')
  })
  const toleranceMs = atLeast('toleranceMs', options.toleranceMs ?? TOLERANCE_MS, 0)
  const clock = options.clock ?? systemClock
  return {
    verify(request) {
      const { headers } = request
      const body = rawBody(request)
      const isSvix =
        headerOf(headers, 'webhook-signature') === undefined &&
        headerOf(headers, 'svix-signature') !== undefined
      const family = isSvix ? 'svix' : 'webhook'
      const id = neededHeader(headers, `${family}-id`)
      const time = neededHeader(headers, `${family}-timestamp`)
      const signatures = neededHeader(headers, `${family}-signature`)
      checkAge(time, toleranceMs, clock)
      const given = signatures
        .split(' ')
        .filter((one) => one.startsWith('v1,'))
        .map((one) => Buffer.from(one.slice(3), 'base64'))
      if (!matches(keys, [Buffer.from(`${id}.${time}.`), body], given)) throw noMatch(`${family}-signature`)
      const payload = parsed(body)
      return { id, type: fieldOf(payload, 'type'), payload }
    },
  }
}
