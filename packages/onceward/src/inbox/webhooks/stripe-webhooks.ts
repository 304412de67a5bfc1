import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { atLeast, refuseUnknown } from '../../core/known-fields.ts'
import { systemClock } from '../../core/system.ts'
import {
  checkAge,
  fieldOf,
  keysOf,
  matches,
  neededHeader,
  noMatch,
  parsed,
  rawBody,
  refused,
  type Secrets,
  TOLERANCE_MS,
} from './signature.ts'
import type { Webhooks } from './webhook-types.ts'

/** Options of `stripeWebhooks`. */
export interface StripeWebhooksOptions {
  /** The signing secret of the endpoint, `whsec_…`. A list while secrets are rotated. */
  readonly secret: Secrets
  /** How far the signed time may be off, either way, in ms. Default five minutes. */
  readonly toleranceMs?: number
  readonly clock?: Clock
}

/**
 * Checks webhooks of Stripe (`Stripe-Signature`, scheme v1). The time is signed, and the id of the event with the body.
 *
 * Limit: Stripe may tell of one change by two events with different ids; compare the object then.
 *
 * @throws `TypeError` for a missing secret, or one of fewer than 16 bytes, at once.
 * @example
 * const webhooks = stripeWebhooks({ secret: process.env['STRIPE_WEBHOOK_SECRET'] ?? '' })
 */
export function stripeWebhooks(options: StripeWebhooksOptions): Webhooks {
  refuseUnknown('the options of stripeWebhooks', options, ['secret', 'toleranceMs', 'clock'])
  const keys = keysOf('stripeWebhooks', options.secret, (secret) => Buffer.from(secret))
  const toleranceMs = atLeast('toleranceMs', options.toleranceMs ?? TOLERANCE_MS, 0)
  const clock = options.clock ?? systemClock
  return {
    verify(request) {
      const body = rawBody(request)
      const parts = neededHeader(request.headers, 'stripe-signature').split(',')
      const valuesOf = (name: string) =>
        parts.filter((part) => part.startsWith(`${name}=`)).map((part) => part.slice(name.length + 1))
      const [time, ...more] = valuesOf('t')
      if (time === undefined || more.length > 0) throw refused('its header stripe-signature has not one time')
      checkAge(time, toleranceMs, clock)
      const given = valuesOf('v1').map((one) => Buffer.from(one, 'hex'))
      if (!matches(keys, [Buffer.from(`${time}.`), body], given)) throw noMatch('stripe-signature')
      const payload = parsed(body)
      const id = fieldOf(payload, 'id')
      if (id === undefined || id === '')
        throw new OncewardError(
          'REQUEST_INVALID',
          'the signature is right, but the event of Stripe has no id',
        )
      return { id, type: fieldOf(payload, 'type'), payload }
    },
  }
}
