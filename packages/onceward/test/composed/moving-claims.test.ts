import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { operationId } from '../../src/core/identity.ts'
import type { OperationId } from '../../src/core/operation.ts'
import type { ClaimReply, OperationStore } from '../../src/core/store.ts'
import { type Connect, inPostgres, inRedis, sharded, somewhere } from './composed-stores.ts'

const [before, after] = [
  { layout: ['a', 'b'], otherLayouts: [['a', 'b', 'c']] },
  { layout: ['a', 'b', 'c'], otherLayouts: [['a', 'b']] },
]
/** So many claims of one key at once, one half from each side. */
const CLAIMS = 8
const KEYS = 60

const ask = (store: OperationStore, id: OperationId): Promise<ClaimReply> =>
  store.claim({ id, owner: randomUUID(), leaseMs: 60_000, retentionMs: 60_000, onCrash: 'hold' })

const isGranted = (reply: ClaimReply) => reply.state === 'claimed'

function claims(connect: Connect): void {
  it('are granted once, at the latest when somebody asks again', { timeout: 60_000 }, async () => {
    const place = somewhere()
    const [one, other] = [await sharded(connect, place, before), await sharded(connect, place, after)]
    await one.store.migrate()
    const sides = [one.store, other.store]
    const grantsOf = async (id: OperationId) => {
      const replies = await Promise.all(
        Array.from({ length: CLAIMS / 2 }, () => sides.map((store) => ask(store, id))).flat(),
      )
      let grants = replies.filter(isGranted).length
      expect(grants, 'claims of one key that were granted at once').toBeLessThanOrEqual(1)
      await expect
        .poll(async () => {
          const reply = await ask(other.store, id)
          if (isGranted(reply)) grants++
          return reply.state === 'running' && grants > 0
        })
        .toBe(true)
      return grants
    }
    try {
      const grants = await Promise.all(
        Array.from({ length: KEYS }, () => grantsOf(operationId('moving', randomUUID()))),
      )
      expect(grants).toEqual(Array.from({ length: KEYS }, () => 1))
    } finally {
      await Promise.all([one.end(), other.end()])
    }
  })
}

describe('claims of one key from both sides of a change of layout', async () => {
  await describeWith('redis', 'Redis', ({ redis }) => claims(inRedis(redis)))
  await describeWith('postgres', 'PostgreSQL', ({ postgres }) => claims(inPostgres(postgres)))
})
