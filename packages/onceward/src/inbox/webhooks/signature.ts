import { createHmac, timingSafeEqual } from 'node:crypto'
import { parseBoundedJson } from '../../core/bounded-json.ts'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { written } from '../../core/known-fields.ts'
import type { WebhookHeaders, WebhookRequest } from './webhook-types.ts'

/** A secret, or several while they are rotated: each is tried. */
export type Secrets<S extends string | Uint8Array = string> = S | readonly S[]

/** How far a signed time may be off by default, either way, in ms. */
export const TOLERANCE_MS = 300_000

/** The refusal of a request. Nothing of the secret, nor of the signature that would be right, is ever in it. */
export function refused(why: string): OncewardError {
  return new OncewardError('SIGNATURE_INVALID', `the webhook is refused: ${why}`)
}

/** The refusal where no signature is that of the body. */
export function noMatch(header: string): OncewardError {
  return refused(
    `no signature in ${header} matches; either somebody else has sent it, or the secret is another one, or the body is not as ` +
      'it was sent',
  )
}

/** One header, whatever its case. @throws `SIGNATURE_INVALID` where it was sent twice. */
export function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  const value = typeof headers.get === 'function' ? headers.get(name) : inRecord(headers, name)
  if (typeof value === 'string') return value
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value) && value.length === 1) return String(value[0])
  throw refused(`the header ${name} was sent more than once`)
}

/** One header that must be there. @throws `SIGNATURE_INVALID`. */
export function neededHeader(headers: WebhookHeaders, name: string): string {
  const value = headerOf(headers, name)
  if (value === undefined || value === '') throw refused(`the header ${name} is missing`)
  return value
}

function inRecord(headers: WebhookHeaders, name: string): unknown {
  for (const [key, value] of Object.entries(headers)) {
    if (key.toLowerCase() === name) return value
  }
  return undefined
}

/** The bytes that were signed. @throws `TypeError` with the mend. */
export function rawBody({ body }: WebhookRequest): Buffer {
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  throw new TypeError(
    `the body must be the raw bytes of the request, or their text, not ${written(body)}: a parser has been at it. Use ` +
      "express.raw({ type: '*/*' }) on this route, or the like, and leave the parsing to verify",
  )
}

/** Whether one of the given signatures is that of one of the secrets. Compares in constant time. */
export function matches(
  keys: readonly Uint8Array[],
  signed: readonly Uint8Array[],
  given: readonly Buffer[],
): boolean {
  let found = false
  for (const key of keys) {
    const hmac = createHmac('sha256', key)
    for (const part of signed) hmac.update(part)
    const expected = hmac.digest()
    for (const one of given) {
      if (one.length === expected.length && timingSafeEqual(one, expected)) found = true
    }
  }
  return found
}

/** Checks a signed time, in whole seconds. @throws `SIGNATURE_INVALID`. */
export function checkAge(seconds: string, toleranceMs: number, clock: Clock): void {
  if (!/^\d{1,12}$/.test(seconds)) throw refused('its time is not a number of seconds')
  const ageMs = clock.now() - Number(seconds) * 1000
  if (Math.abs(ageMs) <= toleranceMs) return
  throw refused(
    ageMs > 0
      ? `it is too old: signed ${Math.round(ageMs / 1000)} s ago, the most is ${toleranceMs / 1000} s`
      : `it was signed ${Math.round(-ageMs / 1000)} s in the future; look at the clock of this machine`,
  )
}

/** The body as JSON, after its signature was found right. @throws `REQUEST_INVALID`. */
export function parsed(body: Buffer): unknown {
  try {
    return parseBoundedJson(body.toString('utf8'))
  } catch (error) {
    throw new OncewardError(
      'REQUEST_INVALID',
      'the signature of the webhook is right, but its body is no JSON; choose application/json where the sender is set up',
      { cause: error },
    )
  }
}

/** A text field of a payload. */
export function fieldOf(payload: unknown, name: string): string | undefined {
  if (typeof payload !== 'object' || payload === null || !Object.hasOwn(payload, name)) return undefined
  const value = (payload as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : undefined
}

/** What a template makes of a variable that is not set: a secret that everybody knows. */
const NO_SECRETS: ReadonlySet<string> = new Set(['', 'undefined', 'null'])

/**
 * The fewest bytes of a key. The tools of senders make more: 24 to 64 bytes are due by Standard Webhooks, and Stripe's have 38
 * characters. GitHub takes whatever is typed, and who has seen one signed request can try short ones until one fits.
 */
const LEAST_BYTES = 16

/** The secrets as a list of keys. @throws `TypeError` with the mend, and without the secret. */
export function keysOf<S extends string | Uint8Array>(
  user: string,
  secrets: Secrets<S>,
  keyOf: (secret: S) => Uint8Array,
): readonly Uint8Array[] {
  const list = (Array.isArray(secrets) ? secrets : [secrets]) as readonly S[]
  const keys = list.map((secret) => {
    const usable =
      typeof secret === 'string'
        ? secret === secret.trim() && !NO_SECRETS.has(secret)
        : secret instanceof Uint8Array
    const key = usable ? keyOf(secret) : undefined
    if (key === undefined || key.length === 0)
      throw new TypeError(
        `${user} needs a secret, as the sender shows it: a text without white space at its ends. Is the environment variable set?`,
      )
    if (key.length >= LEAST_BYTES) return key
    throw new TypeError(
      `${user} needs a secret of at least ${LEAST_BYTES} bytes, this one has ${key.length} and can be guessed: make a long ` +
        'random one where the sender is set up, such as that of `openssl rand -hex 32`',
    )
  })
  if (keys.length === 0) throw new TypeError(`${user} needs a secret; the list is empty`)
  return keys
}
