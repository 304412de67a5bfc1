import { formatPath } from './value-fold.ts'

/** A part of a key that looks as if a retry would not have it again. */
export interface VolatileField {
  /** Where it is, as `allowVolatile` takes it: `createdAt`, `order.sentAt`, `[1]`. */
  readonly path: string
  /** What it looks like, for a person, for example `the time of this moment`. Never holds the value. */
  readonly looksLike: string
}

/**
 * Names of fields that change from one try to the next, in lower case and without `_`, `-` and `.`:
 *
 * - time of the call: `timestamp`, `ts`, `now`, `createdAt`, `updatedAt`, `sentAt`, `requestedAt`, `receivedAt`,
 *   `processedAt`, `expiresAt`, `currentTime`, `requestTime`
 * - made at random for the call: `nonce`, `random`, `salt`, `requestId`, `xRequestId`, `correlationId`, `messageId`,
 *   `traceId`, `traceParent`, `spanId`, `jti`
 * - of the visit: `session`, `sessionId`, `sid`, `token`, `accessToken`, `refreshToken`, `csrf`, `csrfToken`, `jwt`,
 *   `authorization`, `cookie`
 * - of the try: `attempt`, `attempts`, `retry`, `retries`, `retryCount`, `tryCount`
 */
const VOLATILE_NAMES: readonly (readonly [pattern: RegExp, looksLike: string])[] = [
  [
    /^(?:timestamp|ts|now|(?:created|updated|sent|requested|received|processed|expires)at|(?:current|request)time)$/,
    'the time of the call',
  ],
  [
    /^(?:nonce|random|salt|x?requestid|correlationid|messageid|traceid|traceparent|spanid|jti)$/,
    'made at random for each call',
  ],
  [
    /^(?:session|sessionid|sid|(?:access|refresh|csrf)?token|csrf|jwt|authorization|cookie)$/,
    'part of a visit, not of the act',
  ],
  [/^(?:attempts?|retry|retries|retrycount|trycount)$/, 'the number of the try'],
]

/** How near to now a time must be to count as the time of the call, in ms. */
const NEAR_MS = 10 * 60_000

/** Looks for volatile parts of a key that has been checked: lists, plain objects, and values without parts. */
export function findVolatile(key: object, now: number, allowed: readonly string[]): readonly VolatileField[] {
  const found: VolatileField[] = []
  visit(key, [], (path, value) => {
    const last = path.at(-1)
    const name = typeof last === 'string' ? last : ''
    const looksLike = volatileName(name) ?? volatileValue(value, name, now)
    if (looksLike === undefined) return
    const at = formatPath('', path)
    if (!allowed.includes(at)) found.push({ path: at, looksLike })
  })
  return found
}

/** What lies deeper in a key is not looked at. */
const MAX_LOOK_DEPTH = 50

type Path = readonly (string | number)[]

/** Visits every field, containers too: `session: {…}` is volatile as a whole. */
function visit(value: object, path: Path, see: (path: Path, value: unknown) => void): void {
  const parts: [string | number, unknown][] = Array.isArray(value)
    ? value.map((item, index) => [index, item])
    : Object.entries(value)
  for (const [name, part] of parts) {
    const at = [...path, name]
    see(at, part)
    if (isContainer(part) && at.length < MAX_LOOK_DEPTH) visit(part, at, see)
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Date) && !ArrayBuffer.isView(value)
}

function volatileName(name: string): string | undefined {
  if (name === '' || name.length > 40) return undefined
  const plain = name.toLowerCase().replaceAll(/[_.-]/g, '')
  return VOLATILE_NAMES.find(([pattern]) => pattern.test(plain))?.[1]
}

function volatileValue(value: unknown, name: string, now: number): string | undefined {
  if (typeof value === 'number') return timeNear(value, now)
  if (value instanceof Date) return timeNear(value.getTime(), now)
  if (typeof value === 'string') return volatileText(value, name, now)
  return undefined
}

// The patterns have no nested or adjoining repetitions: their time is linear in the text.
const DIGITS = /^\d{10}(?:\d{3})?$/
const DATE_TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/
const UUID = /^[\da-f]{8}-[\da-f]{4}-([47])[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/i
const JWT = /^eyJ[\w-]{8,}\.[\w-]{8,}\./
const HEX = /^[\da-f]{32,256}$/i

function volatileText(text: string, name: string, now: number): string | undefined {
  if (DIGITS.test(text)) return timeNear(Number(text), now)
  if (text.length <= 40 && DATE_TIME.test(text)) return timeNear(Date.parse(text), now)
  // `orderId` says whose id it is, and a digest of content is the same on every try.
  const version = UUID.exec(text)?.[1]
  if (version !== undefined && !/id$/i.test(name)) return `a random id (UUIDv${version})`
  if (JWT.test(text)) return 'a token (JWT)'
  if (HEX.test(text) && !/id$|hash|digest|sha|md5|sum|etag|print/i.test(name))
    return 'a long random number (hex)'
  return undefined
}

/** Whether a number is a time in ms or s since the epoch, minutes from now at most. */
function timeNear(time: number, now: number): string | undefined {
  const near = Math.abs(time - now) <= NEAR_MS || Math.abs(time * 1000 - now) <= NEAR_MS
  return near ? 'the time of this moment' : undefined
}
