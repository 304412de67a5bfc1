/** Locks in memory taken apart, so that a test can break one thing of them. */
import { OncewardError } from '../../src/core/errors.ts'
import type { HeldLock, LockBackend, LockCapabilities, PlaceGrant } from '../../src/locks/lock-backend.ts'
import { EMPTY, type LockRecord } from '../../src/locks/lock-record.ts'
import * as transitions from '../../src/locks/lock-transitions.ts'
import type { LockHarness } from '../../src/testing/index.ts'

/** Decides one step. */
export type Decide<Reply> = (found: LockRecord | undefined, now: number) => transitions.Step<Reply>

/** What a flaw has to work with. */
export interface LockParts {
  readonly records: Map<string, LockRecord>
  readonly now: () => number
  readonly step: <Reply>(key: string, decide: Decide<Reply>) => Promise<Reply>
  /** The locks without the flaw, on the same records. */
  readonly sound: LockBackend
  readonly wake: (token: string, granted?: PlaceGrant) => void
}

/** One deliberate defect. */
export interface LockFlaw {
  /** What is wrong with the locks. */
  readonly name: string
  /** The rules whose cases must all fail. */
  readonly rule: RegExp
  /** The methods that are broken; `second` for the second connection. */
  readonly break: (parts: LockParts, second: boolean) => Partial<LockBackend>
  /** The random sequences find it too. */
  readonly model?: true
}

const CAPABILITIES: LockCapabilities = {
  fencing: true,
  fifo: true,
  push: true,
  shared: true,
  marks: true,
  grantsPlaces: true,
  durable: false,
}

/** A harness whose locks have this flaw; without one they are sound. */
export function brokenLocks(flaw?: LockFlaw): LockHarness {
  return {
    capabilities: CAPABILITIES,
    model: { seed: 42, runs: 500 },
    patienceMs: 200,
    async open() {
      let time = Date.UTC(2026, 0, 1)
      const parts = partsOf(() => time)
      const first = { ...parts.sound, ...flaw?.break(parts, false) }
      const second = { ...parts.sound, ...flaw?.break(parts, true) }
      return {
        backends: [first, second],
        advance: (ms) => {
          time += ms
        },
        close: async () => {},
      }
    },
  }
}

function partsOf(now: () => number): LockParts {
  const records = new Map<string, LockRecord>()
  const watchers = new Map<string, Set<(granted?: PlaceGrant) => void>>()
  let closed = false
  const wake = (token: string, granted?: PlaceGrant) => {
    for (const call of watchers.get(token) ?? []) queueMicrotask(() => call(granted))
  }
  const step = async <Reply>(key: string, decide: Decide<Reply>): Promise<Reply> => {
    if (closed) throw new OncewardError('CLOSED', 'these locks were closed')
    const { reply, record, wake: woken } = decide(records.get(key), now())
    if (record) records.set(key, record)
    for (const { token, granted } of woken) wake(token, granted)
    return reply
  }
  const sound: LockBackend = {
    where: 'memory',
    capabilities: CAPABILITIES,
    minTtlMs: 10,
    drift: 0,
    acquire: (request) => step(request.key, (found, at) => transitions.acquire(found, request, at)),
    extend: (requests) =>
      Promise.all(requests.map((one) => step(one.key, (found, at) => transitions.extend(found, one, at)))),
    release: (held, next) => step(held.key, (found, at) => transitions.release(found, held, at, next)),
    transfer: (from, to) => step(from.key, (found, at) => transitions.transfer(found, from, to, at)),
    async inspect(key) {
      const found = records.get(key)
      return found && transitions.view(key, found, now())
    },
    forceRelease: (request) => step(request.key, (found, at) => transitions.forceRelease(found, request, at)),
    mark: (held, text, keepMs) =>
      step(held.key, (found, at) => transitions.mark(found, held, text, keepMs, at)),
    watch({ token }: HeldLock, call) {
      const calls = watchers.get(token) ?? new Set()
      watchers.set(token, calls.add(call))
      return () => {
        calls.delete(call)
      }
    },
    async close() {
      closed = true
    },
  }
  return { records, now, step, sound, wake }
}

/** The same records, read and written in two steps, with a pause in which another caller may come in. */
export function torn({ records, now }: LockParts): LockParts['step'] {
  return async (key, decide) => {
    const found = records.get(key)
    await new Promise((resolve) => setImmediate(resolve))
    const { reply, record } = decide(found, now())
    if (record) records.set(key, record)
    return reply
  }
}

/** The record as if time had not come to the end of anything in it. */
export function unlapsed(found: LockRecord | undefined): LockRecord {
  const record = found ?? EMPTY
  const forEver = <T extends { readonly until: number }>(one: T): T => ({
    ...one,
    until: Number.MAX_SAFE_INTEGER,
  })
  return { ...record, holders: record.holders.map(forEver), queue: record.queue.map(forEver) }
}
