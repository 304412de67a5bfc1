import { checkWork } from '../core/known-fields.ts'
import { followSchedule } from './cron-job.ts'
import { MARK_KEPT_MS, readMark, tickKey, writeMark } from './cron-mark.ts'
import { type CronHost, heldBy, tickRunner } from './cron-run.ts'
import { scheduleOf } from './cron-schedule.ts'
import { checkDecision, checkName, cronPolicy, singleTick } from './cron-settings.ts'
import type {
  CronJob,
  CronMethods,
  CronOptions,
  SingleTick,
  TickDecision,
  TickOutcome,
  TickRun,
} from './cron-types.ts'
import type { AcquireOptions, Lease } from './lock-types.ts'

/** What {@link cronMethods} needs, beyond what runs need. */
export interface CronMethodsHost<Fence extends number | undefined> extends CronHost<Fence> {
  acquire(key: string, options: AcquireOptions): Promise<Lease<Fence>>
}

/** The methods, and how the jobs that they have started are stopped. */
export interface CronParts<Fence extends number | undefined> {
  readonly methods: CronMethods<Fence>
  /** Stops every job, and waits ten seconds at most for what runs: work that hangs must not keep a process from ending. */
  stop(): Promise<void>
}

/** Makes the part of the lock API that runs ticks. */
export function cronMethods<Fence extends number | undefined>(
  host: CronMethodsHost<Fence>,
): CronParts<Fence> {
  const { backend } = host
  const jobs = new Set<CronJob>()

  function cron<T>(
    name: string,
    options: CronOptions | SingleTick,
    fn: (run: TickRun<Fence>) => T | Promise<T>,
  ): CronJob<T> | Promise<TickOutcome<T>> {
    checkName(name)
    checkWork('cron', fn)
    if ('tick' in options) return runSingle(name, options, fn)
    const policy = cronPolicy(backend, options)
    const job = followSchedule(host, name, policy, scheduleOf(options), options, fn, () => jobs.delete(job))
    jobs.add(job)
    return job
  }

  function runSingle<T>(
    name: string,
    options: SingleTick,
    fn: (run: TickRun<Fence>) => T | Promise<T>,
  ): Promise<TickOutcome<T>> {
    const { tick, ...policy } = singleTick(backend, options)
    const runner = tickRunner(host, name, policy, fn)
    // What an earlier tick's second attempt throws is nothing that the caller has asked for; the observer is told.
    return runner
      .run(tick, () => {})
      .then((result) => {
        if (result.outcome === 'threw') throw result.error
        return result
      })
  }

  async function resolveTick(name: string, decision: TickDecision): Promise<number | undefined> {
    checkName(name)
    checkDecision(decision)
    const key = tickKey(name)
    const lease = await host.acquire(key, {})
    try {
      const mark = readMark(name, (await backend.inspect(key))?.mark)
      if (mark?.state !== 'held') return undefined
      const decided = writeMark({ ...mark, state: decision.as === 'done' ? 'skipped' : 'again' })
      lease.assertHeld()
      if (!(await backend.mark?.(heldBy(lease), decided, MARK_KEPT_MS))) lease.assertHeld()
      const message = `${decision.as} by ${decision.by ?? host.owner}: ${decision.reason}`
      host.emit('tick-resolved', key, { tick: mark.tick, message })
      return mark.tick
    } finally {
      await lease.release().catch(() => {
        // It lapses by itself, and the engine has told of it.
      })
    }
  }

  return {
    methods: { cron: cron as CronMethods<Fence>['cron'], resolveTick },
    async stop() {
      const stopping = [...jobs].map((job) => job.stop())
      if (stopping.length === 0) return
      await new Promise<void>((resolve) => {
        const cancel = host.timers.after(LONGEST_STOP_MS, resolve, { background: true })
        void Promise.all(stopping).then(() => {
          cancel()
          resolve()
        })
      })
    },
  }
}

const LONGEST_STOP_MS = 10_000
