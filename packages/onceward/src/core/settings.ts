import type { Clock, Random, Timers } from './clock.ts'
import type { Codec } from './codec.ts'
import { atLeast, kindOf, refuseUnknown, written } from './known-fields.ts'
import { createEmitter, type Emit } from './observer.ts'
import type { OnceOptions, OnError, OperationPolicy } from './once-types.ts'
import type { OperationCatalog, OperationStore } from './store.ts'
import { systemClock, systemRandom, systemTimers } from './system.ts'
import { valueCodec } from './value-codec.ts'

/** A policy with every default filled in. */
export type Policy = Required<Omit<OperationPolicy, 'reconcile' | 'onError' | 'redact'>> &
  Pick<OperationPolicy, 'reconcile' | 'onError' | 'redact'>

/** What an unmarked throw means: one question, "what if the outcome is unknown", has one answer unless the user gives two. */
export function onErrorOf(policy: Policy): OnError {
  return policy.onError ?? (policy.onCrash === 'rerun' ? 'release' : 'hold')
}

/** What all parts of one instance share. */
export interface Engine {
  readonly store: OperationStore & Partial<OperationCatalog>
  readonly scope: string
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly emit: Emit
  readonly storeTimeoutMs: number
}

/** The fields of a policy, for whoever takes options that hold one. */
export const POLICY_FIELDS: readonly (keyof OperationPolicy)[] = [
  'leaseMs',
  'retentionMs',
  'onCrash',
  'onError',
  'whenRunning',
  'waitMs',
  'codec',
  'maxValueBytes',
  'redact',
  'reconcile',
  'reconcileTimeoutMs',
]

const OPTION_FIELDS: readonly string[] = [
  ...POLICY_FIELDS,
  'store',
  'scope',
  'cache',
  'observer',
  'clock',
  'timers',
  'random',
  'storeTimeoutMs',
]

const CALL_FIELDS: readonly string[] = [...POLICY_FIELDS, 'key', 'input', 'scope', 'signal', 'allowVolatile']

const DEFAULTS: Omit<Policy, 'codec'> = {
  leaseMs: 30_000,
  retentionMs: 86_400_000,
  onCrash: 'hold',
  whenRunning: 'wait',
  waitMs: 30_000,
  maxValueBytes: 1_048_576,
  reconcileTimeoutMs: 10_000,
}

/** The shortest lease: below it, timers are too coarse to renew in time. In ms. */
export const MIN_LEASE_MS = 20

/** Checks the options of an instance. @throws `TypeError` that names the option and the mend. */
export function engineOf(given: OnceOptions): Engine {
  const options: OnceOptions = given ?? {}
  refuseUnknown('createOnce', options, OPTION_FIELDS)
  const { store, scope } = options
  if (typeof store?.claim !== 'function') {
    const not = store === undefined ? '' : `, not ${kindOf(store)}`
    throw new TypeError(`createOnce needs a store, for example sqliteStore("operations.sqlite")${not}`)
  }
  if (typeof scope !== 'string' || scope === '') {
    throw new TypeError(
      'createOnce needs a scope: the name within which keys are unique, for example "payments"',
    )
  }
  return {
    store,
    scope,
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
    emit: createEmitter(options.observer),
    storeTimeoutMs: atLeast('storeTimeoutMs', options.storeTimeoutMs ?? 10_000, 1),
  }
}

/** Fills in the defaults of an instance's policy. @throws `TypeError` for a value that makes no sense. */
export function policyOf(options: OperationPolicy): Policy {
  return merge({ ...DEFAULTS, codec: valueCodec }, options)
}

/** Narrows a policy for one call. @throws `TypeError` for an unknown field or a value that makes no sense. */
export function callPolicy(base: Policy, call: OperationPolicy): Policy {
  refuseUnknown('the call', call, CALL_FIELDS)
  return POLICY_FIELDS.some((field) => call[field] !== undefined) ? merge(base, call) : base
}

function merge(base: Policy, given: OperationPolicy): Policy {
  const policy: Record<string, unknown> = { ...base }
  for (const field of POLICY_FIELDS) if (given[field] !== undefined) policy[field] = given[field]
  return checked(policy as unknown as Policy)
}

function checked(policy: Policy): Policy {
  atLeast('leaseMs', policy.leaseMs, MIN_LEASE_MS)
  atLeast('retentionMs', policy.retentionMs, 1)
  atLeast('waitMs', policy.waitMs, 0)
  atLeast('maxValueBytes', policy.maxValueBytes, 0)
  atLeast('reconcileTimeoutMs', policy.reconcileTimeoutMs, 1)
  oneOf('onCrash', policy.onCrash, ['hold', 'rerun'])
  oneOf('onError', onErrorOf(policy), ['hold', 'release', 'store'])
  oneOf('whenRunning', policy.whenRunning, ['wait', 'reject'])
  isCodec(policy.codec)
  isFunction('reconcile', policy.reconcile, 'tells what became of a held operation')
  isFunction('redact', policy.redact, 'answers what is stored')
  return policy
}

function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value))
    throw new TypeError(`${name} must be one of ${allowed.join(', ')}, not ${written(value)}`)
}

function isFunction(name: string, given: unknown, does: string): void {
  if (given === undefined || typeof given === 'function') return
  throw new TypeError(`${name} must be a function that ${does}`)
}

function isCodec(codec: Codec): void {
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw new TypeError('codec must have the methods encode and decode')
  }
}
