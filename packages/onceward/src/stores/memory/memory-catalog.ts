import {
  checkedLimit,
  type ListPosition,
  MAX_PAGE,
  MIN_DIGEST_PREFIX,
  matches,
  parseCursor,
  toCursor,
} from '../../core/catalog-query.ts'
import type { Clock } from '../../core/clock.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry, OperationCatalog } from '../../core/store.ts'
import { isExpired, isForgettable, sweep } from '../../core/transitions.ts'
import { copyOf } from './copy-of.ts'
import { actInTurns } from './in-turns.ts'

/** The catalog over a map of records. Its work grows with the number of records. */
export function memoryCatalog(
  records: Map<string, OperationRecord>,
  audit: readonly AuditEntry[],
  clock: Clock,
  wake: (digest: string) => void,
): OperationCatalog {
  const live = (now: number) => [...records.values()].filter((record) => !isExpired(record, now))
  return {
    async list(query) {
      const now = clock.now()
      const limit = checkedLimit(query.limit)
      const after = query.cursor === undefined ? undefined : parseCursor(query.cursor)
      const found = live(now)
        .filter((record) => matches(record, query, now))
        .sort(newestFirst)
        .filter((record) => after === undefined || newestFirst(after, record) < 0)
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return found.length > limit && last
        ? { records: copyOf(page), cursor: toCursor(positionOf(last)) }
        : { records: copyOf(page) }
    },
    async find(digest) {
      const exact = records.get(digest)
      if (exact) return isExpired(exact, clock.now()) ? undefined : copyOf(exact)
      if (digest.length < MIN_DIGEST_PREFIX) return undefined
      const found = live(clock.now()).filter((record) => record.id.digest.startsWith(digest))
      return found.length === 1 ? copyOf(found[0]) : undefined
    },
    async sweep(limit) {
      const now = clock.now()
      const most = checkedLimit(limit ?? MAX_PAGE)
      return actInTurns(records.values(), most, (record) => {
        const write = sweep(record, now)
        if (write === undefined) return false
        records.set(record.id.digest, write)
        wake(record.id.digest)
        return true
      })
    },
    async purge(limit) {
      const now = clock.now()
      const most = checkedLimit(limit ?? MAX_PAGE)
      return actInTurns(
        records.values(),
        most,
        (record) => isForgettable(record, now) && records.delete(record.id.digest),
      )
    },
    async stats() {
      const now = clock.now()
      const count = { running: 0, done: 0, held: 0, released: 0 }
      let oldestRunningMs = 0
      let oldestHeldMs = 0
      for (const record of live(now)) {
        count[record.state]++
        if (record.state === 'running') oldestRunningMs = Math.max(oldestRunningMs, now - record.updatedAt)
        if (record.state === 'held') oldestHeldMs = Math.max(oldestHeldMs, now - record.updatedAt)
      }
      return { ...count, oldestRunningMs, oldestHeldMs }
    },
    async audit(query = {}) {
      return audit
        .filter((entry) => query.digest === undefined || entry.digest === query.digest)
        .slice(-checkedLimit(query.limit))
        .reverse()
    },
    async migrate() {
      return []
    },
    async doctor() {
      return [
        {
          level: 'warn',
          check: 'durability',
          message: 'Records live in this process only; use a durable store in production.',
        },
      ]
    },
  }
}

function positionOf(record: OperationRecord): ListPosition {
  return { createdAt: record.createdAt, digest: record.id.digest }
}

function newestFirst(a: ListPosition | OperationRecord, b: ListPosition | OperationRecord): number {
  const left = 'id' in a ? positionOf(a) : a
  const right = 'id' in b ? positionOf(b) : b
  if (left.createdAt !== right.createdAt) return right.createdAt - left.createdAt
  return left.digest < right.digest ? -1 : left.digest > right.digest ? 1 : 0
}
