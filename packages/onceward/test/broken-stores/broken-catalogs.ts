import { checkedLimit } from '../../src/core/catalog-query.ts'
import * as transitions from '../../src/core/transitions.ts'
import type { Flaw } from './broken-rig.ts'

/** Flaws in what is listed, found, swept, purged and told. */
export const brokenCatalogs: readonly Flaw[] = [
  {
    name: 'pages cut by an offset',
    rule: /paging lists each record exactly once/,
    break: ({ sound }) => ({
      async list({ cursor, limit, ...query }) {
        const from = cursor === undefined ? 0 : Number(cursor)
        const { records } = await sound.list({ ...query, limit: 1000 })
        const until = from + checkedLimit(limit)
        return {
          records: records.slice(from, until),
          ...(records.length > until ? { cursor: `${until}` } : {}),
        }
      },
    }),
  },
  {
    name: 'pages that skip records created in one millisecond',
    rule: /paging lists each record exactly once/,
    break: ({ sound }) => ({
      async list(query) {
        const page = await sound.list(query)
        const last = page.records.at(-1)
        if (page.cursor === undefined || !last) return page
        const skipping = Buffer.from(`${last.createdAt}:${'z'.repeat(43)}`).toString('base64url')
        return { ...page, cursor: skipping }
      },
    }),
  },
  {
    name: 'a key prefix read as a pattern',
    rule: /a key prefix is literal/,
    break: ({ sound }) => ({
      async list({ keyPrefix, ...query }) {
        const { records } = await sound.list({ ...query, limit: 1000 })
        const pattern = keyPrefix
          ?.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
          .replaceAll('%', '.*')
          .replaceAll('_', '.')
        const like = new RegExp(`^${pattern ?? ''}`, 's')
        return { records: records.filter((record) => like.test(record.id.key)) }
      },
    }),
  },
  {
    name: 'a scope compared without regard to case',
    rule: /list filters by state, scope and age/,
    break: ({ sound }) => ({
      async list({ scope, ...query }) {
        const page = await sound.list(query)
        return {
          records: page.records.filter(
            (record) => !scope || record.id.scope.toLowerCase() === scope.toLowerCase(),
          ),
        }
      },
    }),
  },
  {
    name: 'expired records are listed',
    rule: /an expired record is not listed/,
    break: ({ records }) => ({ list: async () => ({ records: [...records.values()] }) }),
  },
  {
    name: 'limits are not checked',
    rule: /limits are whole numbers/,
    break: ({ sound }) => ({ list: ({ limit: _, ...query }) => sound.list(query) }),
  },
  {
    name: 'a cursor nobody handed out starts from the beginning',
    rule: /a cursor that no page has handed out/,
    break: ({ sound }) => ({ list: ({ cursor: _, ...query }) => sound.list(query) }),
  },
  {
    name: 'find takes the first of several',
    rule: /find takes the digest, or a prefix/,
    break: ({ records }) => ({
      find: async (digest) =>
        digest.length < 6
          ? undefined
          : [...records.values()].find((record) => record.id.digest.startsWith(digest)),
    }),
  },
  {
    name: 'find takes any prefix',
    rule: /find takes the digest, or a prefix/,
    break: ({ records }) => ({
      async find(digest) {
        const found = [...records.values()].filter((record) => record.id.digest.startsWith(digest))
        return found.length === 1 ? found[0] : undefined
      },
    }),
  },
  {
    name: 'a sweep without bounds',
    rule: /sweep turns lapsed holds into held ones/,
    break: ({ sound }) => ({ sweep: () => sound.sweep() }),
  },
  {
    name: 'a sweep that holds what still runs',
    rule: /sweep turns lapsed holds into held ones/,
    model: true,
    break: ({ records, clock }) => ({
      async sweep() {
        let held = 0
        for (const record of records.values()) {
          const write = transitions.sweep(record, clock.now() + 1_000_000_000_000)
          if (write) records.set(record.id.digest, write)
          if (write) held++
        }
        return held
      },
    }),
  },
  {
    name: 'a sweep that tells nobody',
    rule: /a sweep wakes those who wait/,
    break: ({ records, clock }) => ({
      async sweep() {
        for (const record of records.values()) {
          const write = transitions.sweep(record, clock.now())
          if (write) records.set(record.id.digest, write)
        }
        return 1
      },
    }),
  },
  {
    name: 'a purge without bounds',
    rule: /purge removes expired records, counts them/,
    break: ({ sound }) => ({ purge: () => sound.purge() }),
  },
  {
    name: 'a purge of held records',
    rule: /purge never removes what is held/,
    model: true,
    break: ({ records, clock }) => ({
      async purge() {
        const before = records.size
        for (const [digest, record] of records) {
          if (clock.now() >= record.updatedAt + record.retentionMs && record.state !== 'running')
            records.delete(digest)
        }
        return before - records.size
      },
    }),
  },
  {
    name: 'a purge that lets the fence start over within its millisecond',
    rule: /fences strictly increase over a purge/,
    break: ({ records, clock }) => ({
      async purge() {
        const before = records.size
        for (const [digest, record] of records)
          if (transitions.isExpired(record, clock.now())) records.delete(digest)
        return before - records.size
      },
    }),
  },
  {
    name: 'stats that count expired records',
    rule: /an expired record is not listed, found or counted/,
    break: ({ sound, records }) => ({
      stats: async () => ({
        ...(await sound.stats()),
        done: [...records.values()].filter((record) => record.state === 'done').length,
      }),
    }),
  },
  {
    name: 'ages counted from the first claim of all',
    rule: /stats count each state/,
    break: ({ sound, clock }) => ({
      stats: async () => ({ ...(await sound.stats()), oldestHeldMs: clock.now() }),
    }),
  },
  {
    name: 'decisions without an audit',
    rule: /the audit tells every decision/,
    break: () => ({ audit: async () => [] }),
  },
  {
    name: 'an audit in the wrong order',
    rule: /the audit tells every decision/,
    break: ({ sound }) => ({ audit: async (query) => [...(await sound.audit(query))].reverse() }),
  },
  {
    name: 'an audit that goes with the record',
    rule: /the audit tells every decision/,
    break: ({ sound, records }) => ({
      audit: async (query) => (await sound.audit(query)).filter((entry) => records.has(entry.digest)),
    }),
  },
  {
    name: 'an audit of decisions that were refused',
    rule: /a decision that is refused leaves no line/,
    break: ({ sound, audit, clock }) => ({
      async resolve(id, resolution) {
        const reply = await sound.resolve(id, resolution)
        if (reply.state !== 'conflict') return reply
        const { fence, actor, reason } = resolution
        audit.push({
          at: clock.now(),
          digest: id.digest,
          scope: '',
          key: '',
          fence,
          as: 'released',
          actor,
          reason,
        })
        return reply
      },
    }),
  },
  {
    name: 'a migration that is applied every time',
    rule: /migrate may be repeated/,
    break: () => ({ migrate: async () => ['0001-operations'] }),
  },
  {
    name: 'a doctor who looks at nothing',
    rule: /the doctor answers findings/,
    break: () => ({ doctor: async () => [] }),
  },
]
