/** An event that is added early and committed late: nothing passes it by. */
import { createPool } from 'mysql2/promise'
import pg from 'pg'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import type { DatabaseHandle } from '../../src/drivers/database/index.ts'
import { createOutbox, type RelayedEvent } from '../../src/outbox/index.ts'
import { QUICK, until } from './outbox-rig.ts'

/** One connection of the user. */
interface Connection {
  readonly handle: object
  run(text: string): Promise<unknown>
  rows(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** A database with two connections. */
interface Rig {
  readonly db: DatabaseHandle
  readonly connections: readonly [Connection, Connection]
  close(): Promise<void>
}

await describeWith('postgres', 'a late commit on PostgreSQL', ({ postgres }) => {
  it('is published, whatever was published meanwhile', () =>
    race(async () => {
      const database = await postgres.createDatabase()
      const pool = new pg.Pool({ connectionString: database.url })
      const clients = [await pool.connect(), await pool.connect()] as const
      const connection = (client: pg.PoolClient): Connection => ({
        handle: client,
        run: (text) => client.query(text),
        rows: async (text) => (await client.query(text)).rows,
      })
      return {
        db: pool,
        connections: [connection(clients[0]), connection(clients[1])],
        async close() {
          for (const client of clients) client.release()
          await pool.end()
          await database.drop()
        },
      }
    }))
})

await describeWith('mariadb', 'a late commit on MariaDB', ({ mariadb }) => {
  it('is published, whatever was published meanwhile', () =>
    race(async () => {
      const database = await mariadb.createDatabase()
      const pool = createPool({ uri: database.url })
      const taken = [await pool.getConnection(), await pool.getConnection()] as const
      const connection = (one: (typeof taken)[0]): Connection => ({
        handle: one,
        run: (text) => one.query(text),
        rows: async (text) =>
          (await one.query(text))[0] as unknown as readonly Readonly<Record<string, unknown>>[],
      })
      return {
        db: pool,
        connections: [connection(taken[0]), connection(taken[1])],
        async close() {
          for (const one of taken) one.release()
          await pool.end()
          await database.drop()
        },
      }
    }))
})

/**
 * ```
 *   T1  BEGIN  add 1 ──────────────────────────────────────▶ COMMIT
 *   T2          BEGIN  add 2  COMMIT
 *   relay                             publishes what is there        publishes what is there
 * ```
 *
 * A relay that remembers how far it has read (`seq > cursor`) has passed event 1 by when it is committed.
 */
async function race(open: () => Promise<Rig>): Promise<void> {
  const { db, connections, close } = await open()
  const [first, second] = connections
  // Published events stay for the other relay to see.
  const outbox = createOutbox({ db, retentionMs: 60_000 })
  await outbox.migrate()
  const cursorRelay = naiveRelay(second)
  const seen: RelayedEvent[] = []
  const publish = (event: RelayedEvent) => seen.push(event)
  const relay = outbox.relay({ publish, ...QUICK })
  try {
    await first.run('BEGIN')
    await outbox.add(first.handle, { topic: 't', key: 'k', payload: 'early, late' })
    await second.run('BEGIN')
    await outbox.add(second.handle, { topic: 't', key: 'k', payload: 'late, early' })
    await second.run('COMMIT')
    await cursorRelay.poll()
    relay.start()
    await until('the one that was committed first', async () => (await outbox.stats()).pending === 0)
    expect(seen.map(({ payload }) => payload)).toEqual(['late, early'])
    await first.run('COMMIT')
    await until('the late one', async () => seen.length === 2 && (await outbox.stats()).pending === 0)
    expect(seen.map(({ payload }) => payload)).toEqual(['late, early', 'early, late'])
    await cursorRelay.poll()
    expect(cursorRelay.seen, 'a cursor loses it, or this test proves nothing').toEqual(['"late, early"'])
  } finally {
    await outbox.close()
    await close()
  }
}

/** What many outboxes do. */
function naiveRelay(connection: Connection) {
  const seen: unknown[] = []
  let cursor = 0
  return {
    seen,
    async poll() {
      const rows = await connection.rows(
        `SELECT seq, payload FROM onceward_outbox WHERE seq > ${cursor} ORDER BY seq`,
      )
      for (const { seq, payload } of rows) {
        seen.push(payload)
        cursor = Number(seq)
      }
    },
  }
}
