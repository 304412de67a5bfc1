import type { Clock } from '../core/clock.ts'
import { atLeast, refuseUnknown, written } from '../core/known-fields.ts'
import { createEmitter, type Emit } from '../core/observer.ts'
import type { Call, Redact } from '../core/once-types.ts'
import { systemClock } from '../core/system.ts'
import type { GuardOptions, IdempotencyOptions, OnServerError } from './guard-options.ts'
import { checkTokenSource } from './presented-token.ts'
import { createQuota, type Quota } from './quota.ts'
import { MAX_HEAD_BYTES, responseCodec } from './response-codec.ts'
import { replayedHeaders } from './response-headers.ts'

/** Guard options, checked and with every default filled in. */
export interface GuardSettings extends Pick<GuardOptions, 'once' | 'deriveKey' | 'tokens' | 'tokenFrom'> {
  readonly requireKey: boolean
  readonly waitMs: number
  readonly maxBodyBytes: number
  readonly maxResponseBytes: number
  readonly onServerError: OnServerError
  readonly failOpen: boolean
  readonly canonicalJson: boolean
  readonly maxWaiters: number
  readonly replayed: ReadonlySet<string>
  readonly quota: Quota | undefined
  readonly clock: Clock
  /** Tells the diagnostics channel what has no operation yet. */
  readonly emit: Emit
  /** What every call of the engine has in common. */
  readonly call: Omit<Call, 'key'>
}

const MEBIBYTE = 1_048_576

const OPTIONS: Readonly<Record<keyof IdempotencyOptions<unknown>, true>> = {
  once: true,
  scope: true,
  requireKey: true,
  deriveKey: true,
  tokens: true,
  tokenFrom: true,
  waitMs: true,
  maxBodyBytes: true,
  maxResponseBytes: true,
  onServerError: true,
  failOpen: true,
  canonicalJson: true,
  quota: true,
  maxWaiters: true,
  replayHeaders: true,
  leaseMs: true,
  retentionMs: true,
  onCrash: true,
  redact: true,
  reconcile: true,
  reconcileTimeoutMs: true,
  clock: true,
}

/** Of a response that was too large, nothing is stored but its status and location: there is nothing to redact. */
function redactResponse(redact: Redact): Redact {
  if (typeof redact !== 'function')
    throw new TypeError('redact must be a function that answers what is stored of a response')
  const isTooLarge = (found: unknown) => typeof found === 'object' && found !== null && 'tooLarge' in found
  return (found, about) => (about.kind === 'value' && isTooLarge(found) ? found : redact(found, about))
}

function checkTokens({ once, tokens, tokenFrom, deriveKey, failOpen }: Partial<GuardOptions>): void {
  if (tokens === undefined) {
    if (tokenFrom !== undefined)
      throw new TypeError('tokenFrom needs `tokens`: what createTokens({ once }) answers')
    return
  }
  if (typeof tokens?.attempt !== 'function' || typeof tokens.operationOf !== 'function')
    throw new TypeError('tokens must be what createTokens({ once }) answers')
  if (tokens.namespace !== once?.scope)
    throw new TypeError(
      `tokens are those of "${tokens.namespace}", not of "${once?.scope}": make them with the same once`,
    )
  if (deriveKey !== undefined)
    throw new TypeError('tokens and deriveKey exclude each other: a key is issued or derived')
  if (failOpen === true)
    throw new TypeError(
      'tokens and failOpen exclude each other: a token cannot be checked while the store is down',
    )
  if (tokenFrom !== undefined) checkTokenSource(tokenFrom)
}

/** Checks options. @throws `TypeError` that names the option and the mend. */
export function settingsOf(given: GuardOptions): GuardSettings {
  const options: Partial<GuardOptions> = given ?? {}
  refuseUnknown('idempotency', options, Object.keys(OPTIONS))
  const { once, onServerError = 'hold', clock = systemClock, quota } = options
  if (typeof once?.attempt !== 'function') {
    throw new TypeError('idempotency needs `once`: the instance that createOnce({ store, scope }) answers')
  }
  if (!['hold', 'store', 'release'].includes(onServerError)) {
    throw new TypeError(`onServerError must be 'hold', 'store' or 'release', not ${written(onServerError)}`)
  }
  checkTokens(options)
  const maxResponseBytes = atLeast('maxResponseBytes', options.maxResponseBytes ?? MEBIBYTE, 0)
  return {
    once,
    requireKey: options.tokens !== undefined || (options.requireKey ?? false),
    ...(options.tokens === undefined ? {} : { tokens: options.tokens }),
    ...(options.tokenFrom === undefined ? {} : { tokenFrom: options.tokenFrom }),
    ...(options.deriveKey === undefined ? {} : { deriveKey: options.deriveKey }),
    waitMs: atLeast('waitMs', options.waitMs ?? 30_000, 0),
    maxBodyBytes: atLeast('maxBodyBytes', options.maxBodyBytes ?? MEBIBYTE, 0),
    maxResponseBytes,
    onServerError,
    failOpen: options.failOpen ?? false,
    canonicalJson: options.canonicalJson ?? false,
    maxWaiters: atLeast('maxWaiters', options.maxWaiters ?? 1000, 0),
    replayed: replayedHeaders(options.replayHeaders),
    quota: quota && createQuota(quota, clock),
    clock,
    emit: createEmitter(undefined),
    call: {
      codec: responseCodec,
      // The cap on the body is enforced where the response is captured; the codec bounds the rest.
      maxValueBytes: maxResponseBytes + 2 * MAX_HEAD_BYTES,
      // What a throw means is decided in `handling.ts`, where more is known.
      onError: 'hold',
      ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
      ...(options.retentionMs === undefined ? {} : { retentionMs: options.retentionMs }),
      ...(options.onCrash === undefined ? {} : { onCrash: options.onCrash }),
      ...(options.redact === undefined ? {} : { redact: redactResponse(options.redact) }),
      ...(options.reconcile === undefined ? {} : { reconcile: options.reconcile }),
      ...(options.reconcileTimeoutMs === undefined ? {} : { reconcileTimeoutMs: options.reconcileTimeoutMs }),
    },
  }
}
