import type { Clock } from '../core/clock.ts'
import { checkWork } from '../core/known-fields.ts'
import { systemClock } from '../core/system.ts'
import { scheduleOf } from './cron-schedule.ts'
import type { CronOptions, Schedule, TickOptions, TickOutcome, TickRun } from './cron-types.ts'
import type { Locks } from './lock-types.ts'
import { latestTick } from './missed-ticks.ts'

/** How work that another scheduler fires is run on one instance. */
export interface OneInstanceOptions
  extends TickOptions,
    Partial<Pick<CronOptions, 'schedule' | 'timezone' | 'parser'>> {
  readonly clock?: Clock
}

/** What is looked at of the context that node-cron hands to a task. */
export interface FiredContext {
  readonly date?: unknown
}

/**
 * Makes a task for another scheduler, such as node-cron, that runs on one of all instances.
 *
 * Which tick it is, is told by the `date` that node-cron hands over; by `schedule`, the same expression once more, as the
 * latest time it names; or else by the clock, to the second. Limit of the last way: an instance that fires more than a
 * second late takes it for another tick, so name the `schedule` where the scheduler hands no date over.
 *
 * The task resolves to what became of the tick, and throws what `fn` throws.
 *
 * @example
 * import cron from 'node-cron'
 *
 * cron.schedule('0 3 * * *', onOneInstance(locks, 'nightly', { atMostMs: 600_000 }, async ({ signal }) => {
 *   await report({ signal })
 * }))
 */
export function onOneInstance<T, Fence extends number | undefined>(
  locks: Locks<Fence>,
  name: string,
  options: OneInstanceOptions,
  fn: (run: TickRun<Fence>) => T | Promise<T>,
): (context?: FiredContext) => Promise<TickOutcome<T>> {
  checkWork('onOneInstance', fn)
  const { clock = systemClock, schedule: given, timezone, parser, ...policy } = options
  const schedule: Schedule | undefined =
    given === undefined
      ? undefined
      : scheduleOf({
          schedule: given,
          ...(timezone === undefined ? {} : { timezone }),
          ...(parser === undefined ? {} : { parser }),
        })
  return async (context) => {
    const now = clock.now() + EARLY_MS
    const date = context?.date instanceof Date ? context.date.getTime() : undefined
    const tick = date ?? (schedule && latestTick(schedule, now)) ?? Math.floor(now / 1000) * 1000
    return locks.cron(name, { ...policy, tick }, fn)
  }
}

/** Options of {@link OnOneInstance}. */
export interface OnOneInstanceOptions<Self> extends OneInstanceOptions {
  /** The locks, or where the instance of the class keeps them. */
  readonly locks: Locks | ((self: Self) => Locks)
  /** The same on every instance. Default: the names of class and method. */
  readonly name?: string
}

/**
 * A decorator for methods that NestJS (`@Cron`, `@Interval`, `@Timeout`) or another scheduler fires: of all instances, one
 * runs the method. It is handed the {@link TickRun} as its only argument.
 *
 * Nest tells nobody which tick has fired: name the `schedule` again, see {@link onOneInstance}. It may stand above or below
 * the decorator of Nest; docs/recipes/scheduled-jobs.md shows a class.
 */
export function OnOneInstance<Self extends object = object>(
  options: OnOneInstanceOptions<Self>,
): (target: Self, method: string | symbol, descriptor: PropertyDescriptor) => void {
  const { locks, name, ...rest } = options
  return (target, method, descriptor) => {
    const original: unknown = descriptor.value
    checkWork('OnOneInstance', original)
    const work = original as (this: Self, run: TickRun) => unknown
    const tasks = new WeakMap<Self, () => Promise<unknown>>()
    const jobName = name ?? `${target.constructor.name}.${String(method)}`
    const replaced = function (this: Self): Promise<unknown> {
      let task = tasks.get(this)
      if (!task) {
        const own = typeof locks === 'function' ? locks(this) : locks
        task = onOneInstance(own, jobName, rest, (run) => work.call(this, run))
        tasks.set(this, task)
      }
      return task()
    }
    descriptor.value = keepingMetadata(work, replaced)
  }
}

/** The metadata of `reflect-metadata`, where it is loaded. */
interface MetadataReflect {
  getOwnMetadataKeys?(from: object): readonly unknown[]
  getOwnMetadata?(key: unknown, from: object): unknown
  defineMetadata?(key: unknown, value: unknown, on: object): void
}

/** So that decorators of Nest work above and below ours. */
function keepingMetadata<To extends object>(from: object, to: To): To {
  const reflect = Reflect as MetadataReflect
  for (const key of reflect.getOwnMetadataKeys?.(from) ?? []) {
    reflect.defineMetadata?.(key, reflect.getOwnMetadata?.(key, from), to)
  }
  return to
}

/** Timers may fire a little before their time. In ms. */
const EARLY_MS = 50
