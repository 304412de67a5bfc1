import { OncewardError } from '../../src/core/errors.ts'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { FencingBackend } from '../../src/locks/lock-backend.ts'
import type { LockEvent, Locks, LocksOptions } from '../../src/locks/lock-types.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { type ManualTime, manualTime } from '../../src/testing/manual-time.ts'

type Method = 'acquire' | 'extend' | 'release' | 'transfer' | 'inspect' | 'forceRelease'

/**
 * What happens to a call: `refused` fails before anything was done, `reply lost` fails after it, `deaf` is never answered,
 * `mute` is done and never answered. A promise keeps the reply back until it resolves,
 * `late` keeps the request back, before it is done.
 */
export type Trouble =
  | 'refused'
  | 'reply lost'
  | 'deaf'
  | 'mute'
  | Promise<unknown>
  | { readonly late: Promise<unknown> }

/** A backend that misbehaves on demand, and remembers what was asked of it. */
export interface WaywardBackend {
  readonly backend: FencingBackend
  readonly asked: { readonly method: Method; readonly args: readonly unknown[] }[]
  /** Watches that have not ended. */
  readonly watching: Set<string>
  closed: boolean
  /** The trouble of the next calls of a method, one after the other. */
  next(method: Method, ...troubles: Trouble[]): void
  /** The trouble of every call of a method from now on; `undefined` ends it. */
  always(method: Method, trouble: Trouble | undefined): void
  count(method: Method): number
}

export function wayward(inner: FencingBackend): WaywardBackend {
  const next = new Map<Method, Trouble[]>()
  const always = new Map<Method, Trouble | undefined>()
  const asked: { method: Method; args: readonly unknown[] }[] = []
  const watching = new Set<string>()
  const never = new Promise<never>(() => {})
  const unreachable = () => new OncewardError('STORE_UNAVAILABLE', 'the network is down')
  const wrap =
    <Args extends readonly unknown[], R>(method: Method, call: (...args: Args) => Promise<R>) =>
    async (...args: Args): Promise<R> => {
      asked.push({ method, args })
      const trouble = next.get(method)?.shift() ?? always.get(method)
      if (trouble === 'refused') throw unreachable()
      if (trouble === 'deaf') return never
      if (typeof trouble === 'object' && 'late' in trouble) await trouble.late
      const reply = await call(...args)
      if (trouble === 'reply lost') throw unreachable()
      if (trouble === 'mute') return never
      await trouble
      return reply
    }
  const rig: WaywardBackend = {
    backend: {
      ...inner,
      acquire: wrap('acquire', inner.acquire),
      extend: wrap('extend', inner.extend),
      release: wrap('release', inner.release),
      transfer: wrap('transfer', inner.transfer),
      inspect: wrap('inspect', inner.inspect),
      forceRelease: wrap('forceRelease', inner.forceRelease),
      watch(held, wake) {
        watching.add(held.token)
        const stop = inner.watch?.(held, wake)
        return () => {
          watching.delete(held.token)
          stop?.()
        }
      },
      async close() {
        rig.closed = true
        await inner.close()
      },
    },
    asked,
    watching,
    closed: false,
    next: (method, ...troubles) => void next.set(method, [...(next.get(method) ?? []), ...troubles]),
    always: (method, trouble) => void always.set(method, trouble),
    count: (method) => asked.filter((call) => call.method === method).length,
  }
  return rig
}

/** One process with locks on a backend of its own that misbehaves on demand, another one on the same data, and manual time. */
export interface Rig extends WaywardBackend {
  readonly time: ManualTime
  readonly locks: Locks<number>
  readonly events: LockEvent[]
  /** Locks of another process on the same data. Nothing ever goes wrong there. */
  readonly other: Locks<number>
  /** Locks of one more such process. Without `push` it is woken by nobody. */
  another(options?: { readonly push: boolean }): Locks<number>
  /** How many timers this process waits for. */
  pending(): number
}

export function start(options: LocksOptions = {}): Rig {
  const time = manualTime()
  const shared = memoryLocks({ clock: time })
  const rig = wayward(shared)
  const events: LockEvent[] = []
  const own = counted(time)
  return Object.assign(rig, {
    time,
    events,
    locks: createLocks(rig.backend, {
      clock: time,
      timers: own,
      observer: (event) => events.push(event),
      ...options,
    }),
    other: createLocks(shared, { clock: time, timers: time, owner: 'other' }),
    another: ({ push } = { push: true }) =>
      createLocks(push ? shared : withoutPush(shared), { clock: time, timers: time, owner: 'another' }),
    pending: () => own.pending,
  })
}

/** A backend that wakes nobody. */
export function withoutPush({ watch: _, ...backend }: FencingBackend): FencingBackend {
  return { ...backend, capabilities: { ...backend.capabilities, push: false } }
}

function counted(time: ManualTime) {
  const waiting = new Set<object>()
  return {
    get pending() {
      return waiting.size
    },
    after(delayMs: number, callback: () => void) {
      const one = {}
      waiting.add(one)
      const cancel = time.after(delayMs, () => {
        waiting.delete(one)
        callback()
      })
      return () => {
        waiting.delete(one)
        cancel()
      }
    },
  }
}

/** Lets everything run that needs no further time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** What a promise has come to by now. */
export async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'fulfilled' | 'rejected'> {
  const pending = Symbol('pending')
  await settled()
  return Promise.race([promise, Promise.resolve(pending)]).then(
    (value) => (value === pending ? 'pending' : 'fulfilled'),
    () => 'rejected',
  )
}

/** A promise, and how it is settled. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}
