import { refuseUnknown, written } from '../core/known-fields.ts'
import { isUuid } from '../core/uuid.ts'
import { valueCodec } from '../core/value-codec.ts'
import { oneOf } from './new-task.ts'
import { lockTasks, type TaskLedger, writeChanges } from './task-ledger.ts'
import { type TaskRecord, viewOf } from './task-record.ts'
import { cancel, redrive, resolve, type Verdict } from './task-transitions.ts'
import type { Audit, Cancelled, Decided, Resolution, TaskState } from './task-types.ts'

/** The most characters of a reason or an actor. */
const MAX_AUDIT_CHARS = 300

/** Decides about one task under its row lock. `decide` answers the changed task, or nothing where it does not apply. */
async function decideTask(
  ledger: TaskLedger,
  id: string,
  decide: (record: TaskRecord, now: number) => TaskRecord | undefined,
): Promise<{ readonly to?: TaskRecord; readonly state: TaskState } | undefined> {
  if (!isUuid(id)) return undefined
  return ledger.database.transaction(function* () {
    const [locked] = yield* lockTasks(ledger, [id])
    if (!locked) return undefined
    const { record, now } = locked
    const to = decide(record, now)
    if (!to) return { state: record.state }
    if (to !== record) yield* writeChanges(ledger, [{ from: record, to }])
    return { to, state: to.state }
  })
}

/** Cancels a pending task, or notes that a running one is to end. */
export async function cancelTask(
  ledger: TaskLedger,
  id: string,
  options: { readonly reason?: string; readonly actor?: string },
): Promise<Cancelled> {
  refuseUnknown('cancel', options, ['reason', 'actor'])
  const reason = noteOf({ reason: options.reason ?? 'cancelled', ...actorOf(options) })
  const decided = await decideTask(ledger, id, (record, now) => cancel(record, reason, now))
  if (!decided) return { outcome: 'unknown' }
  if (!decided.to) return { outcome: 'too-late', state: decided.state }
  return { outcome: decided.to.state === 'cancelled' ? 'cancelled' : 'asked' }
}

/** Gives a dead or failed task its attempts again. */
export async function redriveTask(ledger: TaskLedger, id: string, audit: Audit): Promise<Decided> {
  refuseUnknown('redrive', audit, ['reason', 'actor'])
  const note = noteOf(audit)
  return asDecided(
    await decideTask(ledger, id, (record, now) => redrive(record, record.policy.attempts, note, now)),
  )
}

/** Decides a held task. @throws `TypeError` for a value that cannot be stored. */
export async function resolveTask(
  ledger: TaskLedger,
  id: string,
  resolution: Resolution,
  maxResultBytes: number,
): Promise<Decided> {
  refuseUnknown('resolve', resolution, ['as', 'value', 'reason', 'actor'])
  const note = `${resolution.as}: ${noteOf(resolution)}`
  const verdict = verdictOf(resolution, maxResultBytes)
  return asDecided(await decideTask(ledger, id, (record, now) => resolve(record, verdict, note, now)))
}

function verdictOf(resolution: Resolution, maxResultBytes: number): Verdict {
  if (resolution.as === undefined) throw new TypeError("resolve needs as: 'done', 'failed' or 'release'")
  oneOf('as', resolution.as, ['done', 'failed', 'release'])
  if (resolution.as !== 'done') {
    if ('value' in resolution) throw new TypeError("only a task that is resolved as: 'done' has a value")
    return { as: resolution.as }
  }
  const bytes = Buffer.from(valueCodec.encode(resolution.value))
  if (bytes.byteLength <= maxResultBytes) return { as: 'done', result: bytes.toString() }
  throw new TypeError(`the value has ${bytes.byteLength} bytes, the most that is stored is ${maxResultBytes}`)
}

function asDecided(decided: Awaited<ReturnType<typeof decideTask>>): Decided {
  if (!decided) return { outcome: 'unknown' }
  if (!decided.to) return { outcome: 'not-applicable', state: decided.state }
  return { outcome: 'changed', task: viewOf(decided.to) }
}

function actorOf({ actor }: { readonly actor?: string }): { readonly actor?: string } {
  return actor === undefined ? {} : { actor }
}

/** The actor and the reason as the history has them. @throws `TypeError` for a decision without a reason. */
function noteOf({ reason, actor }: Audit): string {
  const checked = checkedText('reason', reason)
  return actor === undefined ? checked : `${checkedText('actor', actor)}: ${checked}`
}

function checkedText(field: string, given: unknown): string {
  if (typeof given !== 'string' || given.trim() === '') {
    throw new TypeError(`${field} must be a text that tells something, not ${written(given)}`)
  }
  if (given.length <= MAX_AUDIT_CHARS) return given.toWellFormed()
  throw new TypeError(`${field} has ${given.length} characters, the most is ${MAX_AUDIT_CHARS}`)
}
