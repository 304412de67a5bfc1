import type { Timers } from '../core/clock.ts'
import type { OperationStore } from '../core/store.ts'
import { systemTimers } from '../core/system.ts'

/** The methods of a store that can be made to fail. */
export type FaultMethod =
  | 'claim'
  | 'renew'
  | 'checkpoint'
  | 'complete'
  | 'release'
  | 'hold'
  | 'get'
  | 'takeTurn'
  | 'resolve'

/** A named point: `before` the call reaches the store (not applied), or `after` it (applied, the reply lost). */
export type FaultPoint = `${FaultMethod}:${'before' | 'after'}`

/** What happens at a point. */
export type Fault =
  /** The call fails. Default error: one that looks like a broken connection. */
  | { readonly do: 'throw'; readonly error?: unknown }
  /** The call answers nothing until {@link FaultPoints.heal}; then it fails like a broken connection. */
  | { readonly do: 'hang' }
  /** The call goes on after `ms`. */
  | { readonly do: 'delay'; readonly ms: number }
  /** The call goes on after `run` did, for example ended this process. */
  | { readonly do: 'run'; readonly run: () => void | Promise<void> }

/** For each point: a fault for every time it is reached, or a list with one entry for each time (nothing after its end). */
export type FaultPlan = { readonly [Point in FaultPoint]?: Fault | readonly (Fault | undefined)[] }

/** A store with faults, and what has happened at its points. */
export interface FaultPoints<S> {
  /** Behaves like the store it wraps, apart from the plan. */
  readonly store: S
  /** How often the point was reached. */
  reached(point: FaultPoint): number
  /** How often a fault happened there. A test that asserts nothing about it may have tested nothing. */
  fired(point: FaultPoint): number
  /** Ends the plan: what hangs fails, and no further fault happens. */
  heal(): void
}

/** Options of {@link faultPoints}. */
export interface FaultPointsOptions {
  /** Default: the timers of this process. */
  readonly timers?: Timers
}

/**
 * Wraps a store so that named points fail, hang, are slow or run a callback: deterministic and counted.
 *
 * Limit: it acts between the caller and the store, in this process. It breaks no connection and stops no server.
 *
 * @example
 * const faulty = faultPoints(store, { 'complete:after': [{ do: 'throw' }] }) // the first reply is lost
 */
export function faultPoints<S extends OperationStore>(
  store: S,
  plan: FaultPlan,
  options: FaultPointsOptions = {},
): FaultPoints<S> {
  const timers = options.timers ?? systemTimers
  const reached = new Map<FaultPoint, number>()
  const fired = new Map<FaultPoint, number>()
  const hanging = new Set<() => void>()
  let healed = false

  async function pass(point: FaultPoint): Promise<void> {
    const times = (reached.get(point) ?? 0) + 1
    reached.set(point, times)
    const planned = plan[point]
    const fault = isList(planned) ? planned[times - 1] : planned
    if (healed || fault === undefined) return
    fired.set(point, (fired.get(point) ?? 0) + 1)
    switch (fault.do) {
      case 'throw':
        throw 'error' in fault ? fault.error : connectionLost(point)
      case 'hang':
        return new Promise((_, reject) => {
          hanging.add(() => reject(connectionLost(point)))
        })
      case 'delay':
        return new Promise((resolve) => {
          timers.after(fault.ms, resolve)
        })
      case 'run':
        return fault.run()
    }
  }

  const wrapped = new Map<PropertyKey, unknown>()
  for (const method of METHODS) {
    const call = store[method].bind(store) as (...args: unknown[]) => Promise<unknown>
    wrapped.set(method, async (...args: unknown[]) => {
      await pass(`${method}:before`)
      const reply = await call(...args)
      await pass(`${method}:after`)
      return reply
    })
  }

  return {
    store: new Proxy(store, {
      get(target, name) {
        if (wrapped.has(name)) return wrapped.get(name)
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
    reached: (point) => reached.get(point) ?? 0,
    fired: (point) => fired.get(point) ?? 0,
    heal() {
      healed = true
      for (const fail of hanging) fail()
      hanging.clear()
    },
  }
}

const METHODS: readonly FaultMethod[] = [
  'claim',
  'renew',
  'checkpoint',
  'complete',
  'release',
  'hold',
  'get',
  'takeTurn',
  'resolve',
]

function connectionLost(point: FaultPoint): Error {
  return Object.assign(new Error(`the connection was lost at ${point}`), { code: 'ECONNRESET' })
}

function isList(planned: FaultPlan[FaultPoint]): planned is readonly (Fault | undefined)[] {
  return Array.isArray(planned)
}
