import pg from 'pg'
import postgres from 'postgres'
import { expect, it } from 'vitest'
import { describeWhere, startPostgres } from '../../../../test-servers/index.mjs'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { asks, claimed, someId, within } from '../../src/testing/case-kit.ts'

await describeWhere('postgres', 'the PostgreSQL store on a server that stands still', () => {
  for (const driver of ['pg', 'postgres'] as const) {
    it(`closes in time while somebody waits for a push over ${driver}`, async () => {
      const server = await startPostgres()
      const pool =
        driver === 'pg'
          ? new pg.Pool({ connectionString: server.url })
          : postgres(server.url, { onnotice() {}, max: 4 })
      const patient = postgresStore(pool)
      await patient.migrate()
      const claim = await claimed(patient, someId())
      const store = postgresStore(pool, { queryTimeoutMs: 2000 })
      const found = () => store.claim(asks(claim.id)).then(({ state }) => state)
      await expect.poll(() => found().catch(() => 'not in time')).toBe('running')
      const woken = store.watch(claim.id, new AbortController().signal)
      await expect
        .poll(() => server.query("SELECT FROM pg_stat_activity WHERE query ILIKE 'listen %'"), {
          timeout: 10_000,
        })
        .toHaveLength(1)
      await server.pause()
      try {
        await within(15_000, 'the store is closed', store.close())
        await within(1000, 'the waiter is let go', woken)
      } finally {
        await server.resume()
      }
      await pool.end()
      await server.stop()
    }, 30_000)
  }
})
