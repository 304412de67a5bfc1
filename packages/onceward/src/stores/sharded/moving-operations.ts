import type { Claim, OperationId, OperationRecord } from '../../core/operation.ts'
import type { ClaimReply, ClaimRequest, OperationStore, ResolveReply } from '../../core/store.ts'
import { claimAcrossHomes, type Left, type Pace } from './claim-across-homes.ts'
import { claimMemory } from './claim-memory.ts'
import { lookAt } from './look.ts'
import { byRank } from './record-rank.ts'
import type { Shard, ShardStore } from './shard.ts'

/** What becomes of an operation that has several homes; `homes` begins with the own one. */
export interface MovingOperations {
  claim(homes: readonly Shard[], request: ClaimRequest): Promise<ClaimReply>
  /** A transition of a claim, on the home that granted it. `ends`: the claim is over when it was applied. */
  transition(
    homes: readonly Shard[],
    claim: Claim,
    ends: boolean,
    act: (store: ShardStore) => Promise<boolean>,
  ): Promise<boolean>
  get(homes: readonly Shard[], id: OperationId): Promise<OperationRecord | undefined>
  /** The first `true` of any home. */
  anyOf(homes: readonly Shard[], act: (store: ShardStore) => Promise<boolean>): Promise<boolean>
  resolve(homes: readonly Shard[], act: (store: ShardStore) => Promise<ResolveReply>): Promise<ResolveReply>
  watch(homes: readonly Shard[], id: OperationId, signal: AbortSignal): Promise<void>
}

/** Makes the calls for operations that another layout would put elsewhere. */
export function movingOperations(pace: Pace): MovingOperations {
  /** Where a claim was granted and kept. A forgotten one costs a question to each home. */
  const grants = claimMemory<{ readonly home: Shard; readonly fence: number }>()
  /** What was given back. It is forgotten after thousands of others, when no call for it is on its way any more. */
  const given = claimMemory<Left>()
  const underWay = new Map<string, Promise<ClaimReply>>()

  const claim = async (homes: readonly Shard[], request: ClaimRequest): Promise<ClaimReply> => {
    const { id, owner } = request
    const kept = grants.get(id, owner)
    const record = kept && (await kept.home.call((store) => store.get(id)))
    if (kept && record?.state === 'running' && record.owner === owner && record.fence === kept.fence) {
      // Kept already: its reply was lost. Nobody is to be looked for again, and given back to, under running work.
      const reply = await kept.home.call((store) => store.claim(request))
      if (reply.state !== 'claimed' || reply.claim.fence === kept.fence) return reply
    }
    const left: Left = given.get(id, owner) ?? new Map()
    const leave = (home: Shard, fence: number) => given.set(id, owner, left.set(home, fence))
    const { reply, home } = await claimAcrossHomes(pace, homes, request, left, leave)
    if (reply.state === 'claimed' && home) grants.set(id, owner, { home, fence: reply.claim.fence })
    return reply
  }

  const anyOf: MovingOperations['anyOf'] = async (homes, act) => {
    const failures: unknown[] = []
    for (const home of homes) {
      try {
        if (await home.call(act)) return true
      } catch (error) {
        failures.push(error)
      }
    }
    // Refused by some and unanswered by others is unanswered.
    if (failures.length > 0) throw failures[0]
    return false
  }

  return {
    anyOf,
    // One nonce is asked for once at a time: two questions could disagree on whether the claim is kept or given back.
    claim(homes, request) {
      const name = `${request.id.digest}/${request.owner}`
      const asked = underWay.get(name) ?? claim(homes, request).finally(() => underWay.delete(name))
      underWay.set(name, asked)
      return asked
    },
    async transition(homes, claim, ends, act) {
      const { id, owner } = claim
      const kept = grants.get(id, owner)
      const granted = kept?.fence === claim.fence ? [kept.home] : homes
      // A claim that has expired (its lease and its retention are over) may have been followed by one on another shard,
      // which its own shard cannot know.
      const found = await lookAt(granted, id, (record) => isOf(record, claim))
      const home = found.find(({ record }) => isOf(record, claim))?.home
      const applied = home !== undefined && (await home.call(act))
      if (ends) grants.delete(id, owner)
      return applied
    },
    async get(homes, id) {
      const found = await lookAt(homes, id)
      return found.map(({ record }) => record).sort(byRank)[0]
    },
    async resolve(homes, act) {
      let conflict: ResolveReply | undefined
      const failures: unknown[] = []
      for (const home of homes) {
        try {
          const reply = await home.call(act)
          if (reply.state === 'resolved') return reply
          if (reply.state === 'conflict' && conflict === undefined) conflict = reply
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
      return conflict ?? { state: 'absent' }
    },
    async watch(homes, id, signal) {
      const controller = new AbortController()
      const stop = () => controller.abort()
      if (signal.aborted) return
      signal.addEventListener('abort', stop, { once: true })
      try {
        await Promise.race(homes.map(({ store }) => watchOne(store, id, controller.signal)))
      } finally {
        signal.removeEventListener('abort', stop)
        stop()
      }
    },
  }
}

/** Whether this claim has made the record what it is. */
function isOf(record: OperationRecord, { owner, fence }: Claim): boolean {
  return record.owner === owner && record.fence === fence
}

async function watchOne(store: OperationStore, id: OperationId, signal: AbortSignal): Promise<void> {
  await store.watch?.(id, signal)
}
