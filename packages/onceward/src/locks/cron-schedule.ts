import { createRequire } from 'node:module'
import { written } from '../core/known-fields.ts'
import type { CronOptions, Schedule } from './cron-types.ts'

/** The part of croner that is used. */
interface CronerModule {
  readonly Cron: new (
    expression: string,
    options: { readonly timezone?: string; readonly paused: true },
  ) => { nextRun(after: Date): Date | null }
}

/** Makes a schedule of what the user gave. @throws `TypeError` for an expression that cannot be read, or without croner. */
export function scheduleOf(given: Pick<CronOptions, 'schedule' | 'timezone' | 'parser'>): Schedule {
  const { schedule, timezone, parser = readWithCroner } = given
  if (typeof schedule === 'string')
    return checked(parser(schedule, timezone), 'parser must answer a schedule')
  if (timezone !== undefined)
    throw new TypeError('timezone belongs to a cron expression; build it into the schedule that you pass')
  return checked(schedule, 'schedule must be a cron expression or have the method next')
}

function checked(schedule: Schedule, what: string): Schedule {
  if (typeof schedule?.next === 'function') return schedule
  throw new TypeError(`${what}(after: Date): Date | null, not ${written(schedule)}`)
}

function readWithCroner(expression: string, timezone: string | undefined): Schedule {
  const { Cron } = loadCroner()
  try {
    const cron = new Cron(expression, { paused: true, ...(timezone === undefined ? {} : { timezone }) })
    // A wrong time zone shows at the first question only.
    cron.nextRun(new Date(0))
    return { next: (after) => cron.nextRun(after) }
  } catch (error) {
    const zone = timezone === undefined ? '' : ` in the time zone ${written(timezone)}`
    throw new TypeError(`the schedule ${written(expression)}${zone} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function loadCroner(): CronerModule {
  try {
    return createRequire(import.meta.url)('croner') as CronerModule
  } catch (error) {
    throw new TypeError(
      'cron expressions are read by the package croner: run `npm install croner`, or pass a schedule with the method next',
      { cause: error },
    )
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
