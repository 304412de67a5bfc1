import { failure, type PgValue, plainArray, type Run, textArray } from '../../drivers/pg/index.ts'
import { columnText } from '../../drivers/sql/index.ts'
import { fromLockColumns, LOCK_COLUMNS, type LockColumns, storedKey, toLockColumns } from '../lock-columns.ts'
import type { LockRecord } from '../lock-record.ts'
import type { DecidedSteps, LockStep } from '../lock-step.ts'
import type { Turn } from '../lock-transitions.ts'
import type { LockStatements } from './lock-statements.ts'

/** Where steps are decided: an open READ COMMITTED transaction. */
export interface DecisionPlace {
  readonly run: Run
  readonly statements: LockStatements
  /** How long the lock of a row is waited for, in ms. */
  readonly lockTimeoutMs: number
  /** The database, for messages. */
  readonly where: string
}

/** How often rows may appear and vanish under us before we give up. */
const MAX_ROUNDS = 5

/** The key as a text column can hold it. */
export function keyText(key: string): string {
  return columnText(storedKey(key))
}

/** Reads a row as `read` and `lock` have answered it: a JSON list of its columns as text. */
export function readLock(found: string, where: string): LockRecord {
  const values = JSON.parse(found) as readonly (string | null)[]
  const row = Object.fromEntries(LOCK_COLUMNS.map((column, index) => [column, values[index] ?? null]))
  const { token, owner, meta, state } = row as Record<string, string | null>
  const number = (column: keyof LockColumns) => Number(row[column])
  return fromLockColumns(
    {
      token: token ?? null,
      fence: number('fence'),
      fences: number('fences'),
      until: number('until'),
      owner: owner ?? null,
      meta: meta ?? null,
      state: state ?? null,
      busy_until: number('busy_until'),
      keep_until: number('keep_until'),
    },
    where,
  )
}

/**
 * Runs the rules of locks under row locks: the rows are locked in the order of their keys, the server's time is read, the
 * steps of one key decide one after the other, and each row is written once. A row that somebody else has created meanwhile
 * is locked and decided on anew. Nothing is safe before the caller has committed.
 */
export async function decideLocked(place: DecisionPlace, steps: readonly LockStep[]): Promise<DecidedSteps> {
  const { run, statements, where, lockTimeoutMs } = place
  const replies: unknown[] = new Array(steps.length)
  const wake: Turn[] = []
  let left = grouped(steps)
  for (let round = 0; left.size > 0; round++) {
    if (round >= MAX_ROUNDS) throw failure('STORE_UNAVAILABLE', `${where}: a lock kept changing; try again`)
    const updates = new Map<string, LockRecord>()
    const inserts = new Map<string, LockRecord>()
    const decided = new Map<string, { replies: [number, unknown][]; wake: readonly Turn[] }>()
    const { rows } = await run(statements.lock, [String(lockTimeoutMs), textArray([...left.keys()].sort())])
    for (const [key, now, found = null] of rows) {
      const some = left.get(key ?? '')
      if (key === null || key === undefined || some === undefined) continue
      const before = found === null ? undefined : readLock(found, where)
      const one = decideOne(before, some, Number(now))
      decided.set(key, one)
      if (one.record) (before ? updates : inserts).set(key, one.record)
    }
    if (updates.size > 0) await run(statements.update, valuesOf(updates))
    const taken = await insertAll(place, inserts)
    for (const [key, one] of decided) {
      if (taken.has(key)) continue
      for (const [index, reply] of one.replies) replies[index] = reply
      wake.push(...one.wake)
      left.delete(key)
    }
    left = new Map([...left].filter(([key]) => taken.has(key)))
  }
  return { replies, wake }
}

/** The steps by key, with their places. */
function grouped(steps: readonly LockStep[]): Map<string, (readonly [number, LockStep])[]> {
  const byKey = new Map<string, (readonly [number, LockStep])[]>()
  for (const [index, step] of steps.entries()) {
    const key = keyText(step.key)
    const some = byKey.get(key) ?? []
    byKey.set(key, some)
    some.push([index, step])
  }
  return byKey
}

/** Each step sees what the one before it has made of the record; who is woken follows from the last state. */
function decideOne(
  found: LockRecord | undefined,
  steps: readonly (readonly [number, LockStep])[],
  now: number,
): { replies: [number, unknown][]; wake: readonly Turn[]; record?: LockRecord } {
  let record: LockRecord | undefined
  let wake: readonly Turn[] = []
  const replies = steps.map(([index, { decide }]): [number, unknown] => {
    const step = decide(record ?? found, now)
    record = step.record ?? record
    wake = step.wake
    return [index, step.reply]
  })
  return { replies, wake, ...(record ? { record } : {}) }
}

/** Creates rows; answers the keys that somebody else has created meanwhile. */
async function insertAll(
  { run, statements }: DecisionPlace,
  inserts: ReadonlyMap<string, LockRecord>,
): Promise<ReadonlySet<string>> {
  if (inserts.size === 0) return new Set()
  const { rows } = await run(statements.insert, valuesOf(inserts))
  const created = new Set(JSON.parse(rows[0]?.[0] ?? '[]') as string[])
  return new Set([...inserts.keys()].filter((key) => !created.has(key)))
}

/** The parameters of `update` and `insert`. */
function valuesOf(records: ReadonlyMap<string, LockRecord>): PgValue[] {
  const rows = [...records.values()].map(toLockColumns)
  const text = (column: 'token' | 'owner' | 'meta' | 'state') =>
    textArray(rows.map((row) => (row[column] === null ? null : columnText(row[column]))))
  return [
    textArray([...records.keys()]),
    ...LOCK_COLUMNS.map((column) =>
      column === 'token' || column === 'owner' || column === 'meta' || column === 'state'
        ? text(column)
        : plainArray(rows.map((row) => row[column])),
    ),
  ]
}
