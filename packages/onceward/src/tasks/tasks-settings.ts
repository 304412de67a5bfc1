import type { Clock, Random, Timers } from '../core/clock.ts'
import { atLeast, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import { DATABASE_FIELDS } from '../drivers/database/index.ts'
import { oneOf } from './new-task.ts'
import type { TaskEventNotice } from './task-types.ts'
import type { TaskRetention, TasksOptions } from './tasks-api.ts'

/** The options of a ledger with their defaults. */
export interface TasksSettings {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly retention: Required<TaskRetention>
  readonly ids: 'v7' | 'v4'
  readonly maxInputBytes: number
  readonly maxResultBytes: number
  readonly observer: ((event: TaskEventNotice) => void) | undefined
}

const KNOWN = [
  ...DATABASE_FIELDS,
  'db',
  'retention',
  'ids',
  'maxInputBytes',
  'maxResultBytes',
  'observer',
] as const

const DAY_MS = 86_400_000

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function tasksSettings(options: TasksOptions): TasksSettings {
  refuseUnknown('createTasks', options, KNOWN)
  oneOf('ids', options.ids, ['v7', 'v4'])
  const { observer, retention = {} } = options
  if (observer !== undefined && typeof observer !== 'function') {
    throw new TypeError(`observer must be a function, not ${written(observer)}`)
  }
  refuseUnknown('retention', retention, ['doneMs', 'failedMs', 'cancelledMs', 'deadMs'])
  const kept = (name: keyof TaskRetention, standard: number) => {
    const ms = retention[name] ?? standard
    return ms === Infinity ? ms : atLeast(`retention.${name}`, ms, 0)
  }
  return {
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
    retention: {
      doneMs: kept('doneMs', 7 * DAY_MS),
      failedMs: kept('failedMs', 30 * DAY_MS),
      cancelledMs: kept('cancelledMs', 7 * DAY_MS),
      deadMs: kept('deadMs', Infinity),
    },
    ids: options.ids ?? 'v7',
    maxInputBytes: wholeNumber('maxInputBytes', options.maxInputBytes ?? 262_144, 1, MAX_VALUE_BYTES),
    maxResultBytes: wholeNumber('maxResultBytes', options.maxResultBytes ?? 262_144, 1, MAX_VALUE_BYTES),
    observer,
  }
}

/** What every server takes in one packet with its defaults, written as ASCII. */
const MAX_VALUE_BYTES = 2_097_152
