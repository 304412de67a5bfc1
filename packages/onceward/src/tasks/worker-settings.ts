import { atLeast, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { checkName } from './new-task.ts'
import type { TaskHandler, WorkerOptions } from './worker-types.ts'

/** The options of a worker with their defaults. */
export interface WorkerSettings {
  readonly handlers: ReadonlyMap<string, TaskHandler>
  readonly types: readonly string[]
  readonly concurrency: number
  readonly batchSize: number
  readonly leaseMs: number
  readonly pollMs: number
  readonly graceMs: number
}

const FIELDS: Readonly<Record<keyof WorkerOptions, true>> = {
  handlers: true,
  types: true,
  concurrency: true,
  batchSize: true,
  leaseMs: true,
  pollMs: true,
  graceMs: true,
}

const MAX_BATCH = 1000

/** A year: the databases keep whole numbers. */
const MAX_LEASE_MS = 31_536_000_000

/** Checks the options. @throws `TypeError` naming what is wrong. */
export function workerSettings(options: WorkerOptions): WorkerSettings {
  refuseUnknown('worker', options, Object.keys(FIELDS))
  refuseUnknown('handlers', options.handlers, Object.keys(options.handlers ?? {}))
  const handlers = new Map<string, TaskHandler>()
  for (const [action, handler] of Object.entries(options.handlers)) {
    checkName('the action of a handler', action)
    if (typeof handler !== 'function') {
      throw new TypeError(
        `the handler of ${JSON.stringify(action)} must be a function, not ${written(handler)}`,
      )
    }
    handlers.set(action, handler)
  }
  const types = [...new Set(options.types ?? handlers.keys())]
  for (const type of types) {
    if (!handlers.has(type)) throw new TypeError(`types names ${JSON.stringify(type)}, which has no handler`)
  }
  if (types.length === 0)
    throw new TypeError('a worker needs a handler; give handlers: { action: async (task) => … }')
  const concurrency = wholeNumber('concurrency', options.concurrency ?? 10, 1)
  return {
    handlers,
    types,
    concurrency,
    batchSize: wholeNumber('batchSize', options.batchSize ?? Math.min(concurrency, 200), 1, MAX_BATCH),
    leaseMs: wholeNumber(
      'leaseMs',
      Math.round(atLeast('leaseMs', options.leaseMs ?? 30_000, 100)),
      100,
      MAX_LEASE_MS,
    ),
    pollMs: atLeast('pollMs', options.pollMs ?? 500, 1),
    graceMs: atLeast('graceMs', options.graceMs ?? 10_000, 0),
  }
}
