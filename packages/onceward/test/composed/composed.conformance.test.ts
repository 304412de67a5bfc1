import { describe, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../src/testing/index.ts'
import {
  type Connect,
  type Connected,
  inMariadb,
  inPostgres,
  inRedis,
  type ShardStore,
  sealed,
  sharded,
  somewhere,
} from './composed-stores.ts'

/** How the two connections of the suite are made over one place. */
interface Composition {
  readonly name: string
  readonly a: (connect: Connect, place: string) => Promise<Connected>
  readonly b: (connect: Connect, place: string) => Promise<Connected>
  readonly skip?: Readonly<Record<string, string>>
}

const SHORT_REASONS = {
  'reasons, failures and notes are ordinary text too, and are clipped to 500 characters':
    'sealed reasons are cut to 300 bytes; encrypted-store.test.ts has the case',
}

const ON_TWO_SHARDS = {
  'of 50 concurrent claims of one key over all connections one wins, the others find it running':
    'duplicates are counted on the shard that turned them away; claim-race.test.ts has the race',
  'concurrent claims of many keys at once have one winner for each key':
    'claims that meet on two shards may all be given back; claim-race.test.ts and moving-claims.test.ts have the race',
  'concurrent claims that end at once each run alone, one after the other':
    'a claim that was given back to another shard counts as an attempt; claim-race.test.ts has the race',
  'one owner asking from two connections at once gets one claim':
    'a nonce belongs to one process; where two share one, one of them may be told that it is running',
}

const [before, after] = [
  { layout: ['a', 'b'], otherLayouts: [['a', 'b', 'c']] },
  { layout: ['a', 'b', 'c'], otherLayouts: [['a', 'b']] },
]

const COMPOSITIONS: readonly Composition[] = [
  {
    name: 'sealed, one before and one after a change of keys',
    a: (connect, place) => sealed(connect(place), [1, 2]),
    b: (connect, place) => sealed(connect(place), [2, 1]),
    skip: SHORT_REASONS,
  },
  { name: 'in shards', a: sharded, b: sharded },
  {
    name: 'in shards that are sealed as a whole, one before and one after a change of layout',
    a: (connect, place) => sealed(sharded(connect, place, before)),
    b: (connect, place) => sealed(sharded(connect, place, after)),
    skip: { ...SHORT_REASONS, ...ON_TWO_SHARDS },
  },
]

/** What PostgreSQL does not keep on a busy machine, and the plain store is asked for alone. */
const UNCOUNTED = {
  'of 50 concurrent claims of one key over all connections one wins, the others find it running':
    'a caller that meets a lock for long is told that it is running, and is not counted',
}

function suites(connect: Connect, compositions: readonly Composition[] = COMPOSITIONS): void {
  for (const { name, a, b, skip } of compositions) {
    describe(name, { timeout: 30_000 }, () => {
      const harness: StoreHarness<ShardStore> = {
        capabilities: { durable: true, transactional: false, push: true, listing: true, fencing: true },
        unitMs: 800,
        patienceMs: 10_000,
        model: { runs: 2 },
        async open() {
          const place = somewhere()
          const [one, other] = [await a(connect, place), await b(connect, place)]
          await one.store.migrate()
          await Promise.all([one.store.stats(), other.store.stats()])
          return {
            stores: [one.store, other.store],
            async close() {
              await Promise.all([one.end(), other.end()])
            },
          }
        },
      }
      registerCases(it.concurrent, storeConformance({ ...harness, ...(skip ? { skip } : {}) }))
      registerCases(it.concurrent, catalogConformance(harness))
    })
  }
}

await describeWith('redis', 'Redis', ({ redis }) => suites(inRedis(redis)))
await describeWith('postgres', 'PostgreSQL', ({ postgres }) =>
  suites(
    inPostgres(postgres),
    COMPOSITIONS.map((one) => ({ ...one, skip: { ...one.skip, ...UNCOUNTED } })),
  ),
)
await describeWith('mariadb', 'MariaDB', ({ mariadb }) =>
  suites(inMariadb(mariadb), COMPOSITIONS.slice(0, 1)),
)
