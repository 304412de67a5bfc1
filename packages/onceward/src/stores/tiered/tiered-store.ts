import { createEmitter } from '../../core/observer.ts'
import type { Outcome } from '../../core/operation.ts'
import type {
  ClaimReply,
  ClaimRequest,
  Finding,
  OperationCatalog,
  OperationStore,
  TransactionalStore,
} from '../../core/store.ts'
import { systemClock, systemTimers } from '../../core/system.ts'
import { type CacheSource, cacheOf } from './cache-of.ts'
import { type CachedOutcome, outcomeEntries } from './cached-outcome.ts'
import { type BreakerState, circuitBreaker } from './circuit-breaker.ts'
import { layered } from './layered.ts'
import { lookAhead } from './look-ahead.ts'
import { news } from './news.ts'
import { checkedOptions, type TieredOptions } from './tiered-options.ts'
import { wakingEnds, wakingTransactions, watchBoth } from './wakes.ts'

/** What the cache of a tiered store does. */
export interface CacheState extends BreakerState {
  /** Claims that the cache has answered. */
  readonly hits: number
  /** Claims that went to the store although the cache was asked. */
  readonly misses: number
  /** Entries that were not believed: damaged, foreign, forged, or past their time. */
  readonly refused: number
}

/** A store with a cache in front. It can do what the store can. */
export type TieredStore<S extends OperationStore> = S & {
  /** Whether the cache is in use, since when, and how much it helps; counted since the start of this process. */
  cacheState(): CacheState
  watch: NonNullable<OperationStore['watch']>
}

/** What a store may offer beyond the port of operations, as far as it is passed on. */
type Whole = OperationStore & Partial<OperationCatalog & TransactionalStore<unknown>>

/**
 * Puts a cache before a store: the cache may only answer sooner, the store alone grants and decides.
 *
 * - The first duplicate of what has ended is answered by the store, and later ones, in any process, by the cache. What
 *   the cache does not know for certain goes to the store. Waiting duplicates are woken by way of the cache.
 * - A cache that is down, slow, flushed or failed over costs time, at most `cacheTimeoutMs` for a few callers, until it
 *   is left alone; see `cacheState()`. A claim never fails because of it.
 *
 * Limit: whoever may write to the cache can make up outcomes, unless `secret` is given. Rows that are deleted from the
 * store by hand are still answered for up to `keepMs`.
 *
 * @throws `TypeError` for what is no cache or no store. Later: what the store throws.
 * @example
 * const store = tieredStore({ cache: redis, store: postgresStore(pool) })
 */
export function tieredStore<S extends OperationStore>(
  options: TieredOptions<S, CacheSource>,
): TieredStore<S> {
  const checked = checkedOptions(options)
  const { prefix, keepMs, maxSkewMs, maxEntryBytes } = checked
  const clock = options.clock ?? systemClock
  const timers = options.timers ?? systemTimers
  const store: Whole = options.store
  const cache = cacheOf(options.cache, { prefix, timeoutMs: checked.cacheTimeoutMs, timers })
  const entries = outcomeEntries({ secret: options.secret, now: () => clock.now(), maxSkewMs })
  const emit = createEmitter(options.observer)
  const breaker = circuitBreaker({
    clock,
    timers,
    timeoutMs: checked.cacheTimeoutMs,
    openAfter: checked.openAfter,
    retryAfterMs: checked.retryAfterMs,
    probe: () => cache.look([PROBE]),
    onChange: (state, lastError) =>
      state === 'open'
        ? emit('cache-opened', NOBODY, { message: `the cache is left alone: ${lastError}` })
        : emit('cache-closed', NOBODY, { message: 'the cache is used again' }),
  })
  const look = lookAhead(cache, breaker)
  const told = news(cache, breaker)
  const wake = (digest: string) => told.tell({ digest, wake: true })
  const closing = new AbortController()
  let [hits, misses, refused] = [0, 0, 0]

  /** Keeps what the store has told of a record that it remembers for `known.remainingMs`, counted from `from` (monotonic). */
  const keep = (digest: string, known: CachedOutcome, from: number): void => {
    if (weightOf(known.outcome) > maxEntryBytes) return
    const remainingMs = Math.floor(known.remainingMs - (clock.monotonic() - from))
    const ttlMs = Math.min(remainingMs, keepMs)
    if (ttlMs < 1) return
    told.tell({ digest, entry: { bytes: entries.write(digest, { ...known, remainingMs }, ttlMs), ttlMs } })
  }

  const claim = async (request: ClaimRequest): Promise<ClaimReply> => {
    const { id, fingerprint } = request
    const kept = await look(id.digest)
    const cached = kept && entries.read(id.digest, kept)
    if (kept && !cached) refused++
    // Only what is known to belong to this very input is told; about the rest the store decides.
    if (cached && (fingerprint === undefined || fingerprint === cached.fingerprint)) {
      hits++
      const { outcome, attempt, fence, remainingMs } = cached
      return { state: 'done', outcome, attempt, fence, remainingMs }
    }
    misses++
    const askedAt = clock.monotonic()
    const reply = await store.claim(request)
    if (reply.state === 'done') keep(id.digest, { ...reply, fingerprint }, askedAt)
    else if (kept && reply.state !== 'reused') told.tell({ digest: id.digest, forget: true })
    return reply
  }

  const doctor = async (): Promise<readonly Finding[]> => {
    const findings = (await store.doctor?.()) ?? []
    const answered = await breaker.call(() => cache.look([PROBE]))
    return [...findings, findingOf(breaker.state(), answered !== undefined)]
  }

  return layered(options.store, {
    claim,
    ...wakingEnds(store, wake),
    watch: watchBoth(store, cache, breaker, closing.signal),
    ...(store.doctor ? { doctor } : {}),
    ...(isTransactional(store) ? wakingTransactions(store, wake) : {}),
    cacheState: (): CacheState => ({ ...breaker.state(), hits, misses, refused }),
    async close() {
      closing.abort()
      await told.settled()
      await cache.close()
      await store.close()
    },
  })
}

/** What the cache is asked for to see whether it is there; no operation has this digest. */
const PROBE = 'probe'

/** The operation of events that are about none. */
const NOBODY = { scope: '', key: '', digest: '' }

function isTransactional(store: Whole): store is Whole & TransactionalStore<object> {
  return Boolean(store.capabilities.transactional) && store.transaction !== undefined
}

function weightOf(outcome: Outcome): number {
  switch (outcome.kind) {
    case 'value':
      return outcome.value.byteLength
    case 'failure':
      return outcome.failure.message.length
    case 'unreplayable':
      return outcome.note?.byteLength ?? 0
  }
}

function findingOf({ state, since, lastError }: BreakerState, answered: boolean): Finding {
  if (answered) return { level: 'ok', check: 'cache', message: 'The cache answers.' }
  const how =
    state === 'closed' ? 'does not answer' : `has been left alone since ${new Date(since).toISOString()}`
  return {
    level: 'warn',
    check: 'cache',
    message: `The cache ${how} (${lastError}); the store answers everything, more slowly. Bring Redis back; it is used again by itself.`,
  }
}
