import { checkedLimit, MAX_PAGE, MIN_DIGEST_PREFIX } from '../../core/catalog-query.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry, OperationCatalog, StoreStats } from '../../core/store.ts'
import { failure, type RedisReply } from '../../drivers/redis/index.ts'
import { byteReader } from './byte-reader.ts'
import type { Bucket } from './key-layout.ts'
import { listOperations, membersOf } from './list-operations.ts'
import { readId } from './record-codec.ts'
import { readIndex, type StoreContext, textOf } from './store-context.ts'
import { forgetItem, getItem, type Item, peekItem, sweepItem } from './transition-items.ts'

/** The catalog without what needs no records (`migrate`, `doctor`). */
export type RedisCatalog = Omit<OperationCatalog, 'migrate' | 'doctor'>

/** How many lines of an audit are read at a time. */
const LINES = 500

/**
 * Makes the catalog. What changes a record is decided anew, in one atomic step, for each record that the index names.
 *
 * Limit: `find` by a prefix looks through the index of one bucket, `stats` at each running record.
 */
export function redisCatalog(context: StoreContext): RedisCatalog {
  const { layout, batches } = context

  /** Brings each record that the index names to an end, at most `most`. Answers how many were. */
  async function settle(
    what: 'lapsed' | 'expired',
    most: number,
    itemOf: (digest: string) => Item<boolean>,
  ): Promise<number> {
    const named = await readIndex(context, layout.buckets, { what, for: [most] })
    const digests = named
      .flatMap((one) => one.entries)
      .slice(0, most)
      .map(textOf)
    const done = await Promise.all(digests.map((digest) => batches.submit(itemOf(digest))))
    return done.filter((one) => one).length
  }

  return {
    list: (query) => listOperations(context, query),
    async find(digest) {
      if (!/^[\w-]+$/.test(digest) || digest.length < MIN_DIGEST_PREFIX) return undefined
      const exact = await batches.submit(getItem(digest))
      return exact ?? onlyWith(context, layout.bucketOf(digest), digest)
    },
    sweep: async (limit) => settle('lapsed', checkedLimit(limit ?? MAX_PAGE), sweepItem),
    purge: async (limit) => settle('expired', checkedLimit(limit ?? MAX_PAGE), forgetItem),
    stats: () => stats(context),
    async audit(query = {}) {
      const limit = checkedLimit(query.limit)
      const { digest } = query
      const buckets = digest === undefined ? layout.buckets : [layout.bucketOf(digest)]
      const lines = await Promise.all(buckets.map((bucket) => auditOf(context, bucket, limit, digest)))
      return lines
        .flat()
        .sort((a, b) => b.at - a.at)
        .slice(0, limit)
    },
  }
}

/** The only live record whose digest begins so. */
async function onlyWith(
  { connection, batches }: StoreContext,
  bucket: Bucket,
  prefix: string,
): Promise<OperationRecord | undefined> {
  const found = new Map<string, OperationRecord>()
  let cursor = '0'
  do {
    const reply = await connection.command(
      ['ZSCAN', bucket.created, cursor, 'MATCH', `${prefix}*`, 'COUNT', '1000'],
      { key: bucket.created },
    )
    const [next, entries] = reply as readonly [RedisReply, readonly RedisReply[]]
    cursor = textOf(next)
    for (let index = 0; index < entries.length; index += 2) {
      const record = await batches.submit(getItem(textOf(entries[index])))
      if (record) found.set(record.id.digest, record)
    }
  } while (cursor !== '0' && found.size < 2)
  const [only, another] = found.values()
  return another ? undefined : only
}

async function stats(context: StoreContext): Promise<StoreStats> {
  const counts = await readIndex(context, context.layout.buckets, { what: 'stats' })
  const sum = (place: number) => counts.reduce((total, { entries }) => total + Number(entries[place]), 0)
  const running = await membersOf(context, [1, 3])
  const since = await Promise.all(running.map(({ digest }) => context.batches.submit(peekItem(digest))))
  const now = Math.max(...counts.map((one) => one.now))
  return {
    done: sum(0),
    running: sum(1),
    released: sum(2),
    held: sum(3),
    oldestRunningMs: since.reduce<number>((oldest, at) => Math.max(oldest, now - (at ?? now)), 0),
    oldestHeldMs: Math.max(...counts.map(({ entries }) => Number(entries[4]))),
  }
}

async function auditOf(
  { connection }: StoreContext,
  { audit }: Bucket,
  limit: number,
  digest: string | undefined,
): Promise<readonly AuditEntry[]> {
  const found: AuditEntry[] = []
  for (let from = 0; found.length < limit; from += LINES) {
    const lines = await connection.command(['LRANGE', audit, String(from), String(from + LINES - 1)], {
      key: audit,
    })
    if (!Array.isArray(lines)) break
    for (const line of lines) {
      const entry = readLine(line, audit)
      if (digest === undefined || entry.digest === digest) found.push(entry)
    }
    if (lines.length < LINES) break
  }
  return found.slice(0, limit)
}

const DECIDED: readonly AuditEntry['as'][] = ['released', 'done', 'failed']

function readLine(line: RedisReply, key: string): AuditEntry {
  try {
    const read = byteReader(line as Buffer)
    const [at, fence, as] = [read.double(), read.double(), DECIDED[read.byte()]]
    const digest = read.text(read.uint32())
    const { scope, key: name } = readId(read, read.uint32(), digest)
    const actor = read.text(read.uint32())
    const reason = read.text(read.uint32())
    if (as === undefined) throw new TypeError('it has no known decision')
    return { at, digest, scope, key: name, fence, as, actor, reason }
  } catch (error) {
    throw failure(
      'STORE_CORRUPT',
      `a line of the audit ${key} cannot be read; something else has written there`,
      error,
    )
  }
}
