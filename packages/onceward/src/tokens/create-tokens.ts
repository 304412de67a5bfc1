import { refusal } from '../core/attempt.ts'
import type { Codec } from '../core/codec.ts'
import { isOncewardError, OncewardError } from '../core/errors.ts'
import { fingerprintOf } from '../core/fingerprint.ts'
import { callerScope, operationId } from '../core/identity.ts'
import { atLeast, checkWork, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import type { AttemptReply, Call, Operation } from '../core/once-types.ts'
import { systemRandom } from '../core/system.ts'
import { valueCodec } from '../core/value-codec.ts'
import { noEffect, reported } from '../core/verdict.ts'
import { encodeIssued, ISSUED, type IssuedToken, readIssued } from './issued-token.ts'
import { digestOfToken, drawToken } from './token-text.ts'
import type {
  Consumption,
  IssueRequest,
  RedeemOptions,
  TokenOptions,
  Tokens,
  TokenWork,
} from './token-types.ts'

/**
 * The input of a use that is a consume. No redeem has it, so each of the two finds the other to be another use: a BigInt is in
 * no text and in no JSON that somebody may send.
 */
const CONSUMED = [0n, 'onceward: a one-time token is consumed']

/** The input of a redeem that names none. */
const REDEEMED = 'onceward: a one-time token is redeemed'

/** How much longer than a token its use is remembered at least, in ms: the clocks of two shards may differ. */
const CLOCK_MARGIN_MS = 60_000

/** What is stored of a consume: nothing, whatever the codec of the instance is. */
const NOTHING: Codec = { encode: () => new Uint8Array(), decode: () => undefined }

/** What is stored of an issue was encoded before. */
const AS_IT_IS: Codec = { encode: (bytes) => bytes as Uint8Array, decode: (bytes) => bytes }

/** What `once` would keep out of the store is not asked about what tokens are made of. */
const keepAll = (found: unknown): unknown => found

/**
 * Makes one-time tokens on the store of `once`, whichever that is.
 *
 * Two records stand for a token: its issue (scope and payload, which never change) and its use, an operation that
 * `consume` and `redeem` claim. So a token has one fate, whichever of them comes first, and expiry is judged by the
 * time of the store that granted the claim.
 *
 * Guarantee: at most one `consume` or `redeem` of a token succeeds. Limit: what `once` can promise for the work of a
 * redeem; with shards, expiry is as exact as their clocks agree.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * const tokens = createTokens({ once })
 * const token = await tokens.issue({ scope: user.id, payload: { cart: 7 } })
 * const spent = await tokens.consume(token, { scope: user.id }) // { outcome: 'consumed', payload: { cart: 7 } }
 */
export function createTokens<Payload = unknown>(options: TokenOptions): Tokens<Payload> {
  const { once, random, ...limits } = settingsOf(options)
  const idOfIssue = (digest: string) => ({
    scope: callerScope(once.scope, 'issued-tokens'),
    key: `issued ${digest}`,
  })
  const idOfUse = (digest: string, scope: string) => ({
    scope: callerScope(once.scope, scope),
    key: `token ${digest}`,
  })

  const lookUp = async (token: unknown, scope: string | undefined): Promise<IssuedToken | undefined> => {
    const digest = digestOfToken(token)
    if (digest === undefined) return undefined
    const { key, scope: issues } = idOfIssue(digest)
    const issued = readIssued(digest, await once.get(key, { scope: issues }))
    return scope === undefined || issued?.scope === scope ? issued : undefined
  }
  const rememberedMs = (ttlMs: number): number => Math.max(ttlMs, limits.rememberMs) + CLOCK_MARGIN_MS

  /** Claims the use of a token; the claim was granted in time where `fn` is called. */
  const use = async <T>(
    issued: IssuedToken,
    call: Omit<Call, 'key' | 'scope'>,
    fn: (op: Operation) => T | Promise<T>,
  ): Promise<AttemptReply<T> | 'expired'> => {
    const id = idOfUse(issued.digest, issued.scope)
    // A use that was forgotten before its token has expired would let that be used again.
    const retentionMs = Math.max(
      call.retentionMs ?? rememberedMs(issued.ttlMs),
      issued.ttlMs + CLOCK_MARGIN_MS,
    )
    let late = false
    try {
      return await once.attempt<T>({ ...call, ...id, retentionMs }, async (op) => {
        late = !(await isInTime(issued, op, () => once.get(id.key, { scope: id.scope })))
        if (late) throw noEffect(new Error('the token had expired when it was presented'))
        return fn(op)
      })
    } catch (error) {
      if (late) return 'expired'
      throw error
    }
  }
  const isConsumed = async ({ digest, scope }: IssuedToken): Promise<boolean> => {
    const id = idOfUse(digest, scope)
    const record = await once.get(id.key, { scope: id.scope })
    return record?.fingerprint === fingerprintOf(CONSUMED)
  }
  const attempt = async <T>(
    token: string,
    fn: TokenWork<T, Payload>,
    options: RedeemOptions = {},
  ): Promise<AttemptReply<T>> => {
    checkWork('redeem', fn)
    checkScope('redeem', options)
    const { scope, ...call } = options
    const issued = await lookUp(token, scope)
    if (issued === undefined) throw refused('it is unknown here')
    const input = call.input === undefined ? REDEEMED : call.input
    const reply = await use(issued, { ...call, input }, (op) => fn(op, issued.payload as Payload))
    if (reply === 'expired') throw refused('it has expired')
    if (reply.outcome === 'reused' && (await isConsumed(issued))) throw refused('it is used up')
    return reply
  }

  return {
    namespace: once.scope,
    async issue(request: IssueRequest<Payload>): Promise<string> {
      refuseUnknown('issue', request, ['scope', 'payload', 'ttlMs'])
      const { scope, payload, ttlMs = limits.ttlMs } = request
      if (typeof scope !== 'string' || scope === '') {
        throw new TypeError(
          "issue needs a scope: who may present the token, for example user.id; say 'public' where that is anybody",
        )
      }
      wholeNumber('ttlMs', ttlMs, 1)
      const bytes = valueCodec.encode(payload).byteLength
      if (bytes > limits.maxPayloadBytes) {
        throw new TypeError(
          `the payload of a token has ${bytes} bytes as stored, the most is ${limits.maxPayloadBytes}; ` +
            'store it elsewhere and give its id, or raise maxPayloadBytes',
        )
      }
      const token = drawToken(random)
      const digest = digestOfToken(token) as string
      // What a use of it would be refused for is refused now.
      operationId(...(Object.values(idOfUse(digest, scope)) as [string, string]))
      const kept = encodeIssued({ scope, payload, ttlMs })
      await once.run(
        {
          ...idOfIssue(digest),
          input: ISSUED,
          onCrash: 'rerun',
          retentionMs: ttlMs + rememberedMs(ttlMs),
          maxValueBytes: kept.byteLength,
          codec: AS_IT_IS,
          redact: keepAll,
        },
        () => kept,
      )
      return token
    },
    async consume(token, options = {}): Promise<Consumption<Payload>> {
      refuseUnknown('consume', options, ['scope'])
      checkScope('consume', options)
      const { scope } = options
      const issued = await lookUp(token, scope)
      if (issued === undefined) return { outcome: 'unknown' }
      const consumed = { outcome: 'consumed', payload: issued.payload as Payload } as const
      try {
        const reply = await use(
          issued,
          {
            input: CONSUMED,
            whenRunning: 'reject',
            onCrash: 'hold',
            codec: NOTHING,
            redact: keepAll,
            // A token that somebody has claimed is used, whatever became of them.
            reconcile: () => ({ outcome: 'unknown' }),
          },
          () => undefined,
        )
        if (reply === 'expired') return { outcome: 'expired' }
        return reply.outcome === 'executed' ? consumed : { outcome: 'used' }
      } catch (error) {
        // The claim was granted to this caller, and lapses into held: nobody else will be granted it.
        if (isOncewardError(error, 'OUTCOME_NOT_STORED')) return consumed
        if (isOncewardError(error, 'OPERATION_FAILED') || isOncewardError(error, 'OUTCOME_NOT_REPLAYABLE'))
          return { outcome: 'used' }
        throw error
      }
    },
    async redeem<T>(token: string, fn: TokenWork<T, Payload>, call: RedeemOptions = {}): Promise<T> {
      const reply = await attempt(token, fn, call)
      if ('value' in reply) return reply.value
      throw blamed(refusal(reply))
    },
    attempt,
    operationOf(token, scope) {
      const digest = digestOfToken(token)
      if (digest === undefined) return undefined
      const id = idOfUse(digest, scope)
      return operationId(id.scope, id.key)
    },
  }
}

/**
 * Whether the claim of `op` was granted before the token expired: a fence is the store's own time in µs. A takeover
 * goes on with what was begun, so there the claim counts that began it.
 */
async function isInTime(
  { expiresAt }: IssuedToken,
  op: Operation,
  read: () => ReturnType<TokenOptions['once']['get']>,
): Promise<boolean> {
  if (op.fence / 1000 < expiresAt) return true
  if (!op.takenOver) return false
  const history = (await read())?.history ?? []
  const ended = history.findLastIndex(({ event }) => event === 'released' || event === 'resolved')
  const began = history[ended + 1]
  // After many takeovers the history has forgotten the claim; those who took it over before have judged it.
  return began?.event === 'taken-over' || (began?.event === 'claimed' && began.at < expiresAt)
}

/** A caller who is not known must not be taken for one who is not compared. */
function checkScope(where: string, options: { readonly scope?: string }): void {
  if (!('scope' in options) || (typeof options.scope === 'string' && options.scope !== '')) return
  throw new TypeError(
    `the scope of ${where} must be a text, not ${written(options.scope)}; refuse a caller who is not known, or leave it out`,
  )
}

function refused(why: string): OncewardError {
  return blamed(
    new OncewardError('TOKEN_REFUSED', `The one-time token is refused: ${why}. Ask for another one.`),
  )
}

/** Says of an error that it is about this operation, not of one around it. */
function blamed(error: OncewardError): OncewardError {
  reported(error)
  return error
}

function settingsOf(given: TokenOptions): Required<TokenOptions> {
  const options: Partial<TokenOptions> = given ?? {}
  const { once, random = systemRandom } = options
  // Before what is unknown, for whoever gives the instance itself.
  if (typeof once?.attempt !== 'function')
    throw new TypeError('createTokens needs `once`: the instance that createOnce({ store, scope }) answers')
  refuseUnknown('createTokens', options, ['once', 'ttlMs', 'maxPayloadBytes', 'rememberMs', 'random'])
  return {
    once,
    random,
    ttlMs: wholeNumber('ttlMs', options.ttlMs ?? 3_600_000, 1),
    maxPayloadBytes: atLeast('maxPayloadBytes', options.maxPayloadBytes ?? 4096, 0),
    rememberMs: wholeNumber('rememberMs', options.rememberMs ?? 86_400_000, 0),
  }
}
