import { createOnce, type Once, type OnceOptions, type OperationStore } from '../../src/core/index.ts'
import { type MemoryStore, memoryStore } from '../../src/stores/memory/index.ts'
import { type ManualTime, manualTime } from '../../src/testing/manual-time.ts'

/** An instance on a memory store, in time that only moves when told. */
export interface Bench {
  readonly once: Once
  readonly store: MemoryStore
  readonly time: ManualTime
  /** How often each method of the store was called. */
  calls(): Record<string, number>
}

/** Sets up a bench. `wrap` can make the store misbehave. */
export function bench(
  options: Partial<OnceOptions> = {},
  wrap: (store: MemoryStore, time: ManualTime) => OperationStore = (store) => store,
): Bench {
  const time = manualTime()
  const store = memoryStore({ clock: time })
  const counts: Record<string, number> = {}
  const counted = new Proxy(wrap(store, time), {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver)
      if (typeof member !== 'function' || name === 'watch') return member
      return (...args: unknown[]) => {
        counts[String(name)] = (counts[String(name)] ?? 0) + 1
        return Reflect.apply(member, target, args) as unknown
      }
    },
  })
  const once = createOnce({ store: counted, scope: 's', clock: time, timers: time, ...options })
  return { once, store, time, calls: () => ({ ...counts }) }
}

/** A promise and the functions that settle it. */
export interface Gate<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** Makes a promise that the test settles. */
export function gate<T>(): Gate<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
