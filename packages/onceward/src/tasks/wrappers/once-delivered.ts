import type { Key } from '../../core/derive-key.ts'
import { checkWork, refuseUnknown } from '../../core/known-fields.ts'
import type { Once, Operation, OperationPolicy } from '../../core/once-types.ts'
import { POLICY_FIELDS } from '../../core/settings.ts'

/** How the jobs of a queue become operations. What is not said here is as `createOnce` was told. */
export interface JobOptions<Job> extends OperationPolicy {
  /** What the job is about, where its sender may add it twice: `(job) => ['invoice', job.data.invoice]`. Default: the job itself. */
  readonly keyOf?: (job: Job) => Key
  /** What must be the same in each delivery of one key. Default: the data of the job. */
  readonly inputOf?: (job: Job) => unknown
  /** What keys are unique within. Default: the scope of `once`. */
  readonly scope?: string
  /** Is told at once that the claim of a running job may be lost, when `op.signal` aborts. What it throws is ignored. */
  readonly onLost?: (job: Job, reason: unknown) => void
}

/** What a queue knows of its jobs. */
export interface JobKind<Job> {
  /** Where it comes from, for messages: `onceProcessor`. */
  readonly wrapper: string
  /** Tells one job from all others, in each of its deliveries the same. */
  keyOf(job: Job): Key
  inputOf(job: Job): unknown
}

/** Runs the work of one delivered job, once. */
export type RunOnce<Job> = <T>(job: Job, work: (op: Operation) => T | Promise<T>) => Promise<T>

const FIELDS: readonly string[] = [...POLICY_FIELDS, 'keyOf', 'inputOf', 'scope', 'onLost']

/** Makes the operation of each job. @throws `TypeError` for what is no `once`, a handler that is no function, and options that mean nothing. */
export function onceDelivered<Job>(
  once: Once,
  handler: unknown,
  options: JobOptions<Job>,
  kind: JobKind<Job>,
): RunOnce<Job> {
  if (typeof once?.run !== 'function')
    throw new TypeError(`${kind.wrapper} needs the once that createOnce() makes`)
  checkWork(kind.wrapper, handler)
  refuseUnknown(`the options of ${kind.wrapper}`, options, FIELDS)
  const { keyOf, inputOf, scope, onLost, ...policy } = options
  return (job, work) => {
    const own = keyOf === undefined
    const call = {
      ...policy,
      ...(scope === undefined ? {} : { scope }),
      key: (keyOf ?? kind.keyOf)(job),
      input: (inputOf ?? kind.inputOf)(job),
      // Ids and times that the queue has made are the same in each delivery.
      ...(own ? { allowVolatile: ['[1]', '[2]', '[3]'] } : {}),
    }
    return once.run(call, (op) => whileHeld(op, work, onLost && ((reason) => onLost(job, reason))))
  }
}

async function whileHeld<T>(
  op: Operation,
  work: (op: Operation) => T | Promise<T>,
  onLost: ((reason: unknown) => void) | undefined,
): Promise<T> {
  if (!onLost) return work(op)
  const { signal } = op
  const tell = () => {
    try {
      onLost(signal.reason)
    } catch {
      // The work goes on or ends by itself; who is told has no say in it.
    }
  }
  signal.addEventListener('abort', tell, { once: true })
  try {
    return await work(op)
  } finally {
    signal.removeEventListener('abort', tell)
  }
}
