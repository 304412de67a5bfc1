import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry } from '../../core/store.ts'
import type { Transition } from '../../core/transitions.ts'
import { failure, plainArray, type Run, textArray } from '../../drivers/pg/index.ts'
import { inParts, sizeOf } from './parts-by-bytes.ts'
import { readRecord, recordValues } from './record-rows.ts'
import type { Statements } from './statements.ts'

/** One transition to decide; several in one call concern different records. */
export interface Undecided {
  readonly digest: string
  readonly step: (found: OperationRecord | undefined, now: number) => Transition<unknown>
}

/** What became of one: its reply, or what it threw. */
export type Decided =
  | { readonly reply: unknown; readonly write?: OperationRecord }
  | { readonly error: unknown }

/** Where transitions are decided. */
export interface DecisionPlace {
  readonly run: Run
  readonly statements: Statements
  /** How long a lock that somebody else's transaction holds is waited for, in ms. */
  readonly lockTimeoutMs: number
  /** The database, for messages. */
  readonly where: string
  /** Whether it is somebody's transaction, which keeps its own lock timeout. One transition a call then. */
  readonly joined: boolean
}

/** How often records may appear and vanish under us before we give up. */
const MAX_ROUNDS = 5

/**
 * Runs transitions of core under row locks, inside an open READ COMMITTED transaction: the rules exactly as they are.
 *
 * ```
 *   lock the rows there are, in order ─▶ read the server's time ─▶ decide ─▶ update, insert, audit
 *        ▲                                                                      │ somebody else inserted first
 *        └──────────────────────────────────────────────────────────────────────┘ (his row is locked now, and decided on)
 * ```
 *
 * Nothing is safe before the caller has committed.
 */
export async function decideLocked(
  place: DecisionPlace,
  undecided: readonly Undecided[],
): Promise<ReadonlyMap<string, Decided>> {
  const { run, statements, lockTimeoutMs, where } = place
  const decided = new Map<string, Decided>()
  let left = new Map(undecided.map((one) => [one.digest, one]))
  for (let round = 0; left.size > 0; round++) {
    if (round >= MAX_ROUNDS) throw failure('STORE_UNAVAILABLE', `${where}: a record kept changing; try again`)
    const updates: OperationRecord[] = []
    const inserts: OperationRecord[] = []
    const audits: AuditEntry[] = []
    const { rows } = await run(place.joined ? statements.lockIn : statements.lock, [
      String(lockTimeoutMs),
      textArray([...left.keys()].sort()),
    ])
    for (const [asked, now, row = null] of rows) {
      const one = left.get(asked ?? '')
      if (one === undefined) continue
      try {
        const found = row === null ? undefined : readRecord(row, where)
        const { reply, write, audit } = one.step(found, Number(now))
        decided.set(one.digest, write ? { reply, write } : { reply })
        if (write) (found ? updates : inserts).push(write)
        if (audit) audits.push(audit)
      } catch (error) {
        decided.set(one.digest, { error })
      }
    }
    for (const part of byBytes(updates)) await run(statements.update, recordValues(part))
    const taken = await insertAll(place, inserts)
    if (audits.length > 0) await writeAudit(run, statements, audits)
    left = new Map([...left].filter(([digest]) => taken.has(digest)))
  }
  return decided
}

/** Creates records; answers the digests that somebody else has created meanwhile. */
async function insertAll(
  { run, statements, lockTimeoutMs }: DecisionPlace,
  inserts: readonly OperationRecord[],
): Promise<ReadonlySet<string>> {
  const created = new Set<string>()
  for (const part of byBytes(inserts)) {
    const { rows } = await run(statements.insert, [...recordValues(part), String(lockTimeoutMs)])
    for (const digest of JSON.parse(rows[0]?.[0] ?? '[]') as string[]) created.add(digest)
  }
  return new Set(inserts.map(({ id }) => id.digest).filter((digest) => !created.has(digest)))
}

/** Parts that are not too large for one statement. */
function byBytes(records: readonly OperationRecord[]): OperationRecord[][] {
  return inParts(records, ({ steps, outcome }) =>
    steps.reduce((sum, { value }) => sum + (value?.length ?? 0), outcome ? sizeOf(outcome) : 0),
  )
}

/** Adds lines to the audit. */
function writeAudit(run: Run, { audit }: Statements, entries: readonly AuditEntry[]): Promise<unknown> {
  return run(audit, [
    plainArray(entries.map((entry) => entry.at)),
    textArray(entries.map((entry) => entry.digest)),
    textArray(entries.map((entry) => JSON.stringify(entry))),
  ])
}
