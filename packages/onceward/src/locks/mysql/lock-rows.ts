import { asciiJson, type MysqlSession, READ_NOW, toAsciiJson } from '../../drivers/mysql/index.ts'
import { fromLockColumns, storedKey, toLockColumns } from '../lock-columns.ts'
import type { LockRecord } from '../lock-record.ts'
import type { DecidedSteps, LockStep } from '../lock-step.ts'
import type { Turn } from '../lock-transitions.ts'
import { CREATE, LOCK, OVERWRITE, READ } from './lock-statements.ts'

/** A row as it was found. */
export interface FoundLock {
  readonly record: LockRecord
  /** The time of the server when it was read. */
  readonly now: number
}

/** Text as hexadecimal digits: what a statement means must not depend on the character set of a connection. */
export function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

/** The key of a row, as hexadecimal digits. */
export function keyHex(key: string): string {
  return hex(storedKey(key))
}

/** Reads the rows there are, by key in hexadecimal digits. Locks nothing. */
export async function readLocks(
  session: MysqlSession,
  keys: readonly string[],
  where: string,
): Promise<ReadonlyMap<string, FoundLock>> {
  const { rows } = await session.query(READ, [asciiJson(keys)])
  return new Map(
    rows.map((row) => [String(row['k']), { record: recordOf(row, where), now: Number(row['now']) }]),
  )
}

/**
 * Runs the rules of locks in the open READ COMMITTED transaction of `session`: the rows are locked in the order of their keys,
 * the steps of one key decide one after the other, and each row is written once. The time is that of the server before it waited
 * for the rows: so a lease that stands in the way lapses later, and one that is granted ends earlier, than by the clock.
 *
 * Limit: a row that somebody else has created meanwhile fails it; the whole transaction is then run again.
 */
export async function decideLocked(
  session: MysqlSession,
  steps: readonly LockStep[],
  where: string,
): Promise<DecidedSteps> {
  const keys = [...new Set(steps.map(({ key }) => keyHex(key)))].sort()
  const { rows } = await session.query(LOCK, [asciiJson(keys)])
  const [timed] = rows.length > 0 ? rows : (await session.query(READ_NOW)).rows
  const now = Number(timed?.['now'])
  const found = new Map(rows.map((row) => [String(row['k']), recordOf(row, where)]))
  const written = new Map<string, LockRecord>()
  const woken = new Map<string, readonly Turn[]>()
  const replies = steps.map(({ key, decide }) => {
    const at = keyHex(key)
    const { reply, record, wake } = decide(written.get(at) ?? found.get(at), now)
    if (record) written.set(at, record)
    woken.set(at, wake)
    return reply
  })
  const overwritten = [...written].filter(([key]) => found.has(key))
  const created = [...written].filter(([key]) => !found.has(key))
  if (overwritten.length > 0) await session.query(OVERWRITE, [asciiJson(overwritten.map(wholeRow))])
  if (created.length > 0) await session.query(CREATE, [asciiJson(created.map(wholeRow))])
  return { replies, wake: [...woken.values()].flat() }
}

function recordOf(row: Readonly<Record<string, unknown>>, where: string): LockRecord {
  const text = (name: string) => {
    const value = row[name]
    return value === null ? null : Buffer.isBuffer(value) ? value.toString('utf8') : String(value)
  }
  const number = (name: string) => Number(row[name])
  return fromLockColumns(
    {
      token: text('token'),
      fence: number('fence'),
      fences: number('fences'),
      until: number('until'),
      owner: text('owner'),
      meta: text('meta'),
      state: text('state'),
      busy_until: number('busy_until'),
      keep_until: number('keep_until'),
    },
    where,
  )
}

/** A row as the statements read it. */
function wholeRow([key, record]: readonly [string, LockRecord]): readonly (string | number | null)[] {
  const row = toLockColumns(record)
  const bytes = (text: string | null) => (text === null ? null : hex(text))
  return [
    key,
    bytes(row.token),
    row.fence,
    row.fences,
    row.until,
    bytes(row.owner),
    bytes(row.meta),
    row.state === null ? null : toAsciiJson(row.state),
    row.busy_until,
    row.keep_until,
  ]
}
