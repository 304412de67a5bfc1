import pg from 'pg'
import postgres from 'postgres'
import { expect, it } from 'vitest'
import { describeWhere, sharedPostgres, startPgbouncer } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { claimed, someId } from '../../src/testing/case-kit.ts'

await describeWhere(['postgres', 'pgbouncer'], 'behind a pooler that keeps no prepared statements', () => {
  for (const driver of ['pg', 'postgres'] as const) {
    it(`transactions over ${driver} are right from the first one on, however many are begun at once`, async () => {
      const database = await (await sharedPostgres()).createDatabase()
      const pooler = await startPgbouncer({ upstream: database.url, settings: { default_pool_size: '3' } })
      const direct = new pg.Pool({ connectionString: database.url, max: 1 })
      await postgresStore(direct).migrate()
      await direct.end()
      const pool =
        driver === 'pg'
          ? new pg.Pool({ connectionString: pooler.url, max: 6 })
          : postgres(pooler.url, { max: 6, onnotice() {} })
      const store = postgresStore(pool)
      const once = createOnce({ store, scope: driver })
      try {
        for (let round = 0; round < 3; round++) {
          const keys = Array.from({ length: 20 }, (_, index) => `${round}-${index}`)
          const values = await Promise.all(
            keys.flatMap((key) => [1, 2].map(() => once.transaction({ key }, () => key))),
          )
          expect(values).toEqual(keys.flatMap((key) => [key, key]))
        }
        // What only the exact rules can do is done in transactions of the store's own.
        const claims = await Promise.all(Array.from({ length: 20 }, () => claimed(store, someId())))
        const held = await Promise.all(claims.map((claim) => store.hold(claim, 'who knows')))
        expect(held).toEqual(claims.map(() => true))
      } finally {
        await store.close()
        await pool.end()
        await pooler.stop()
        await database.drop()
      }
    }, 60_000)
  }
})
