/** An inbox when its connection breaks: what the broker delivers again is known, or was undone. */
import { createPool, type PoolConnection } from 'mysql2/promise'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  describeWith,
  type FaultProxy,
  faultProxy,
  type SqlEndpoint,
  type TestDatabase,
} from '../../../../test-servers/index.mjs'
import type { DatabaseHandle } from '../../src/drivers/database/index.ts'
import { createInbox, type Inbox, type InboxOptions } from '../../src/inbox/index.ts'

interface Rig {
  readonly commit: string
  open(url: string): DatabaseHandle & { end(): Promise<unknown> }
  write(tx: never): Promise<unknown>
}

function faults(server: SqlEndpoint, { commit, open, write }: Rig): void {
  let database: TestDatabase
  let proxy: FaultProxy
  const pools: { end(): Promise<unknown> }[] = []
  const inboxes: Inbox[] = []

  const inboxAt = (url: string, options: Partial<InboxOptions> = {}) => {
    const pool = open(url)
    // Connections that break while nobody uses them are no news here.
    ;(pool as unknown as { on(event: string, listener: () => void): void }).on('error', () => {})
    pools.push(pool)
    const inbox = createInbox({ db: pool, consumer: 'billing', maxAttempts: 1, ...options })
    inboxes.push(inbox)
    return inbox
  }
  beforeEach(async () => {
    database = await server.createDatabase()
    proxy = await faultProxy({ target: server })
    await inboxAt(database.url).migrate()
    await server.query('CREATE TABLE effects (place VARCHAR(40))', [], database.name)
  })
  afterEach(async () => {
    await proxy.pass()
    await Promise.all(inboxes.splice(0).map((inbox) => inbox.close()))
    await Promise.all(pools.splice(0).map((pool) => pool.end().catch(() => {})))
    await proxy.stop()
    await database.drop()
  })
  const effects = async () => (await server.query('SELECT place FROM effects', [], database.name)).length
  const handler = (tx: unknown) => write(tx as never)

  it('tells a commit whose confirmation was lost as unknown, and knows the message when it comes again', async () => {
    const inbox = inboxAt(proxy.url(database.url))
    await inbox.process('warm', () => {})
    proxy.cutOnReplyTo(commit)
    await expect(inbox.process('m1', handler)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'unknown',
    })
    expect(proxy.fired).toBe(1)
    await proxy.pass()
    expect(await inbox.process('m1', handler)).toEqual({ outcome: 'duplicate' })
    expect(await effects()).toBe(1)
    // Nothing of it was the fault of the message.
    expect(await inbox.failures({ deadOnly: false })).toEqual([])
  })

  it('has undone everything where the commit never arrived, and processes the message when it comes again', async () => {
    const inbox = inboxAt(proxy.url(database.url))
    await inbox.process('warm', () => {})
    proxy.onRequest((bytes) => (bytes.includes(commit) ? 'cut' : undefined))
    await expect(inbox.process('m1', handler)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await proxy.pass()
    expect(await inbox.process('m1', handler)).toMatchObject({ outcome: 'processed' })
    expect(await effects()).toBe(1)
    expect(await inbox.failures({ deadOnly: false })).toEqual([])
  })

  it('lets a delivery that has waited take the place of one whose connection was killed', async () => {
    const first = inboxAt(proxy.url(database.url))
    const second = inboxAt(database.url)
    await Promise.all([first.process('warm1', () => {}), second.process('warm2', () => {})])
    let waiting: Promise<unknown> | undefined
    const doomed = first.process('m1', async (tx) => {
      await handler(tx)
      waiting = second.process('m1', handler)
      proxy.reset()
      return handler(tx)
    })
    await expect(doomed).rejects.toThrow()
    expect(await waiting).toMatchObject({ outcome: 'processed' })
    expect(await effects()).toBe(1)
  })

  it('waits no longer than queryTimeoutMs for a delivery that is under way, and is told nothing happened', async () => {
    const first = inboxAt(database.url)
    const second = inboxAt(database.url, { queryTimeoutMs: 1000 })
    let late: unknown
    const outcome = await first.process('m1', async (tx) => {
      await handler(tx)
      late = await second.process('m1', handler).catch((error: unknown) => error)
    })
    expect(outcome).toMatchObject({ outcome: 'processed' })
    expect(late).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none', retryable: true })
    expect(await inboxAt(database.url).process('m1', handler)).toEqual({ outcome: 'duplicate' })
    expect(await effects()).toBe(1)
  })

  it('says that the database is away, without effect, and counts no failure', async () => {
    const inbox = inboxAt(proxy.url(database.url))
    await proxy.down()
    await expect(inbox.process('m1', handler)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      retryable: true,
    })
    await proxy.pass()
    expect(await inbox.process('m1', handler)).toMatchObject({ outcome: 'processed' })
  })

  it('says that there is no schema, and how to make it', async () => {
    await server.query('DROP TABLE onceward_migrations', [], database.name)
    const inbox = inboxAt(database.url)
    await expect(inbox.process('m1', handler)).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      message: expect.stringMatching(/onceward migrate/),
    })
    await inbox.migrate().catch(() => {})
  })
}

describe('an inbox when things break', async () => {
  await describeWith('postgres', 'on PostgreSQL', ({ postgres }) =>
    faults(postgres, {
      commit: 'COMMIT\0',
      open: (url) => new pg.Pool({ connectionString: url }),
      write: (tx: pg.PoolClient) => tx.query("INSERT INTO effects VALUES ('x')"),
    }),
  )
  await describeWith('mariadb', 'on MariaDB', ({ mariadb }) =>
    faults(mariadb, {
      commit: 'COMMIT',
      open: (url) => createPool({ uri: url }),
      write: (tx: PoolConnection) => tx.query("INSERT INTO effects VALUES ('x')"),
    }),
  )
})
