import pg from 'pg'
import { expect, it } from 'vitest'
import { describeWhere, sharedPostgres, startPgbouncer } from '../../../../../test-servers/index.mjs'
import { operationId } from '../../core/identity.ts'
import type { OperationId } from '../../core/operation.ts'
import { asks, claimed, LONG_MS, outcomeOf, someId, within } from '../../testing/case-kit.ts'
import { type PostgresStore, postgresStore } from './index.ts'

await describeWhere(
  ['postgres', 'pgbouncer'],
  'the PostgreSQL store behind PgBouncer in transaction mode',
  () => {
    it('claims, completes, waits and works in transactions, with as many clients as connections', async () => {
      const database = await (await sharedPostgres()).createDatabase()
      const pooler = await startPgbouncer({ upstream: database.url })
      const pools = [1, 2].map(() => new pg.Pool({ connectionString: pooler.url, max: 10 }))
      const stores = pools.map((pool) => postgresStore<pg.PoolClient>(pool))
      const [a, b] = stores as [PostgresStore<pg.PoolClient>, PostgresStore<pg.PoolClient>]
      try {
        await a.migrate()
        const ids = Array.from({ length: 100 }, () => someId())
        for (let round = 0; round < 3; round++) {
          const replies = await Promise.all(ids.flatMap((id) => stores.map((store) => store.claim(asks(id)))))
          const grants = replies.filter((reply) => reply.state === 'claimed')
          expect(grants).toHaveLength(round === 0 ? 100 : 0)
          await Promise.all(grants.map(({ claim }) => b.complete(claim, outcomeOf('receipt'), LONG_MS)))
        }
        const claim = await claimed(a, someId())
        expect((await b.claim(asks(claim.id))).state).toBe('running')
        const waiting = b.watch(claim.id, new AbortController().signal)
        await a.complete(claim, outcomeOf('receipt'), LONG_MS)
        await within(15_000, 'the waiter is woken', waiting)
        const id = operationId('shop', 'one')
        const states = await Promise.all(
          Array.from({ length: 8 }, (_, index) => {
            const store = index % 2 ? a : b
            return store.transaction((tx) => orderIn(store, tx, id))
          }),
        )
        expect(states.filter((state) => state === 'claimed')).toHaveLength(1)
        const findings = await b.doctor()
        expect(findings.filter((one) => one.level === 'fail')).toEqual([])
        expect(findings).toContainEqual(expect.objectContaining({ check: 'push', level: 'warn' }))
        const past = new pg.Pool({ connectionString: database.url, max: 1 })
        const pushed = postgresStore(pools[0] as pg.Pool, { listen: past })
        try {
          const other = await claimed(a, someId())
          expect((await pushed.claim(asks(other.id))).state).toBe('running')
          const woken = pushed.watch(other.id, new AbortController().signal)
          await untilAsync(async () =>
            (await pushed.doctor()).some((one) => one.check === 'push' && /woken by/.test(one.message)),
          )
          await b.complete(other, outcomeOf('receipt'), LONG_MS)
          await within(15_000, 'the waiter is woken', woken)
        } finally {
          await pushed.close()
          await past.end()
        }
      } finally {
        for (const store of stores) await store.close()
        for (const pool of pools) await pool.end()
        await pooler.stop()
        await database.drop()
      }
    }, 60_000)
  },
)

async function orderIn(
  store: PostgresStore<pg.PoolClient>,
  tx: pg.PoolClient,
  id: OperationId,
): Promise<string> {
  const reply = await store.claimIn(tx, asks(id))
  if (reply.state === 'claimed') await store.completeIn(tx, reply.claim, outcomeOf('receipt'), LONG_MS)
  return reply.state
}

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}
