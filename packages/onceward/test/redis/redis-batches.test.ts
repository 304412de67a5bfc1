import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWhere, type RedisServer, startRedis } from '../../../../test-servers/index.mjs'
import { isOncewardError } from '../../src/core/errors.ts'
import type { Claim, ClaimReply, OperationId, OperationRecord } from '../../src/core/index.ts'
import { type RedisStore, redisStore } from '../../src/stores/redis/index.ts'
import { keyLayout } from '../../src/stores/redis/key-layout.ts'
import { asks, receipt, someId } from './redis-kit.ts'
import { type OpenClient, SINGLE, somePrefix } from './redis-suite.ts'

/** What a caller asks of one of a few operations. */
interface Call {
  readonly of: number
  readonly what: 'claim' | 'complete' | 'renew' | 'checkpoint' | 'release' | 'hold' | 'decide' | 'get'
  readonly owner: string
  readonly fingerprint: string
  readonly onCrash: 'hold' | 'rerun'
  readonly again: boolean
  /** Whether it names another owner than the one that was granted the operation last. */
  readonly stale: boolean
  readonly leaseMs: number
  readonly retentionMs: number
}

const OPERATIONS = 6
/** This one's key holds something else. */
const FOREIGN = 5

const call: fc.Arbitrary<Call> = fc.record({
  of: fc.nat(OPERATIONS - 1),
  what: fc.oneof(
    fc.constant('claim' as const),
    fc.constant('complete' as const),
    fc.constantFrom('renew', 'checkpoint', 'release', 'hold', 'decide', 'get'),
  ),
  owner: fc.constantFrom('ada', 'bob', 'eve'),
  fingerprint: fc.constantFrom('one', 'one', 'two'),
  onCrash: fc.constantFrom('hold', 'rerun'),
  again: fc.boolean(),
  stale: fc.constantFrom(false, false, false, true),
  leaseMs: fc.constantFrom(60_000, 60_000, 0),
  retentionMs: fc.constantFrom(60_000, 60_000, 0),
})

/** Carries out a call with the claims that were granted in turns before; answers what does not depend on the time. */
async function carriedOut(
  store: RedisStore,
  ids: readonly OperationId[],
  before: ReadonlyMap<OperationId, Claim>,
  granted: Map<OperationId, Claim>,
  { of, what, stale, ...asked }: Call,
): Promise<unknown> {
  const id = ids[of] as OperationId
  const known = before.get(id) ?? { id, owner: 'nobody', fence: 1, attempt: 1 }
  const claim = stale ? { ...known, owner: 'somebody else' } : known
  const as = { state: 'released' } as const
  try {
    switch (what) {
      case 'claim': {
        const reply = await store.claim(asks(id, asked))
        if (reply.state === 'claimed') granted.set(id, reply.claim)
        return told(reply)
      }
      case 'complete':
        return await store.complete(claim, receipt(asked.owner), asked.retentionMs)
      case 'renew':
        return await store.renew(claim, 60_000)
      case 'checkpoint':
        return await store.checkpoint(claim, { name: 'charge', state: 'started', onCrash: 'hold' })
      case 'release':
        return await store.release(claim)
      case 'hold':
        return await store.hold(claim, 'no reply')
      case 'decide':
        return (await store.resolve(id, { fence: claim.fence, as, actor: 'ada', reason: 'seen' })).state
      case 'get':
        return seen(await store.get(id))
    }
  } catch (error) {
    return isOncewardError(error) ? error.code : error
  }
}

function told(reply: ClaimReply): unknown {
  if (reply.state === 'claimed') return [reply.claim.owner, reply.claim.attempt, reply.takenOver]
  return [
    reply.state,
    'attempt' in reply && reply.attempt,
    reply.state === 'done' && JSON.stringify(reply.outcome),
  ]
}

function seen(record: OperationRecord | undefined): unknown {
  if (!record) return undefined
  const { state, owner, fingerprint, onCrash, attempt, duplicates, outcome, history } = record
  const events = history.map(({ event }) => event)
  return { state, owner, fingerprint, onCrash, attempt, duplicates, events, outcome: JSON.stringify(outcome) }
}

await describeWhere('redis', 'a call of many items', () => {
  let server: RedisServer
  let opened: OpenClient
  beforeAll(async () => {
    server = await startRedis()
    opened = await SINGLE['ioredis'](server.url)()
  })
  afterAll(async () => {
    opened.close()
    await server.stop()
  })

  it('answers and writes what the items do one after the other', async () => {
    const turns = fc.array(fc.array(call, { minLength: 1, maxLength: 16 }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(turns, async (calls) => {
        const ids = Array.from({ length: OPERATIONS }, () => someId())
        const prefixes = [somePrefix(), somePrefix()]
        const [together, apart] = prefixes.map((prefix) => redisStore(opened.client, { prefix }))
        if (!together || !apart) return expect.fail('no stores')
        for (const prefix of prefixes) {
          const digest = ids[FOREIGN]?.digest ?? ''
          await server.command('RPUSH', keyLayout(prefix).bucketOf(digest).record + digest, 'x')
        }
        // Looks at the server first, so that what follows leaves in one call.
        await together.get(someId())
        const grantedTogether = new Map<OperationId, Claim>()
        const grantedApart = new Map<OperationId, Claim>()
        for (const turn of calls) {
          const before = [new Map(grantedTogether), new Map(grantedApart)] as const
          const answers = turn.map((one) => carriedOut(together, ids, before[0], grantedTogether, one))
          const expected: unknown[] = []
          for (const one of turn) expected.push(await carriedOut(apart, ids, before[1], grantedApart, one))
          expect(await Promise.all(answers)).toEqual(expected)
          for (const id of ids.slice(0, FOREIGN)) {
            expect(seen(await together.get(id))).toEqual(seen(await apart.get(id)))
          }
          const ages = { oldestHeldMs: 0, oldestRunningMs: 0 }
          expect({ ...(await together.stats()), ...ages }).toEqual({ ...(await apart.stats()), ...ages })
        }
        await Promise.all([together.close(), apart.close()])
      }),
      { numRuns: 100 },
    )
  }, 120_000)
})
