import { answerWithin } from '../../core/answer-within.ts'
import { backOffMs } from '../../core/back-off.ts'
import type { Random, Timers } from '../../core/clock.ts'
import { jittered } from '../../core/jittered.ts'
import type { Claim } from '../../core/operation.ts'
import { pause } from '../../core/pause.ts'
import type { ClaimReply, ClaimRequest } from '../../core/store.ts'
import { type Found, lookAt, lookAtAll } from './look.ts'
import { byRank, isLive } from './record-rank.ts'
import type { Shard } from './shard.ts'

/** What waiting needs. */
export interface Pace {
  readonly timers: Timers
  readonly random: Random
}

/** The claims of one nonce that were given back: where, and their fences. */
export type Left = Map<Shard, number>

/**
 * How often one of two that have met looks again whether the other has left: for about half a second, in which also a busy
 * machine can look and give back. If both leave, nobody runs until a caller asks again.
 */
const LOOKS = 10

/** The pauses before such looks, in ms: 2 to 6 at first, doubled each time. */
const PAUSES = { initialMs: 4, maxMs: 100 }

/** How long the giving back of a claim is waited for, in ms; it goes on in the background. */
const GIVE_BACK_MS = 2000

/**
 * Claims an operation that other processes may claim on another shard: claim, then look.
 *
 * ```
 *  look at every home ──▶ one remembers it ──▶ claim there ─┐
 *         │ none                                            ├─▶ granted? look at every other home again
 *         └─▶ claim at the own home ────────────────────────┘        │ nothing there: the claim is kept
 *                                                                    └─ something there: give it back, begin again
 * ```
 *
 * Why two processes cannot both keep a claim. P is granted at home H and then reads home X; Q is granted at X and then
 * reads H. Both read *after* their own grant was written, and each home is one store that orders its writes and reads.
 * If P read X before Q's grant was written there, then P's grant at H is older than Q's grant at X, and so older than
 * Q's look at H: Q sees it and gives its own back. So at least one of them sees the other; both may, and then both
 * leave, or the one whose home comes first by name waits a little for the other to leave. What P saw as absent can
 * only come later, from somebody who then looks at H. This needs every process to look at every home that another may
 * prefer, which is what the order of a roll-out is for (docs/sharding.md).
 *
 * A claim that was given back is never used again, even if its release is still on the way: a grant with the fence that
 * was left is refused. `left` holds what this nonce has given back before, `leave` is told of more. A crash between claim and look leaves a claim that lapses: it becomes held, or is taken over with
 * `onCrash: 'rerun'`, although nothing has run. That is no effect, and flagged; the moment is one round trip long and
 * exists only while a layout moves. A home that cannot be read is a reason not to run.
 *
 * Limit: fences of two shards come from two clocks. A grant below a fence that another home remembers is given back.
 */
export async function claimAcrossHomes(
  pace: Pace,
  homes: readonly Shard[],
  request: ClaimRequest,
  left: ReadonlyMap<Shard, number>,
  leave: (home: Shard, fence: number) => void,
): Promise<{ readonly reply: ClaimReply; readonly home?: Shard }> {
  const rounds = 2 * homes.length + 1
  for (let round = 0; round < rounds; round++) {
    const home = whereToAsk(homes, await lookAt(homes, request.id), request.owner, left)
    if (home === undefined) break
    const reply = await home.call((store) => store.claim(round === 0 ? request : { ...request, again: true }))
    if (reply.state !== 'claimed') return { reply }
    const { claim } = reply
    if (left.get(home) === claim.fence) break
    const others = homes.filter((other) => other !== home)
    if (await mayKeep(pace, home, claim, others)) return { reply, home }
    leave(home, claim.fence)
    await giveBack(pace, home, claim, request.leaseMs)
  }
  // Nobody may be running it, but somebody is about to: the caller asks again soon, under a nonce of its own.
  return { reply: { state: 'running', attempt: 1, remainingMs: 5 + 15 * pace.random.fraction() } }
}

/** The home that remembers the operation, so that its attempts and its history go on; else the own one. */
function whereToAsk(
  homes: readonly Shard[],
  found: readonly Found[],
  owner: string,
  left: ReadonlyMap<Shard, number>,
): Shard | undefined {
  // A grant whose reply was lost is this caller's to keep or to give back: nobody else knows of it.
  const isOwn = ({ home, record }: Found) =>
    record.state === 'running' && record.owner === owner && record.fence !== left.get(home)
  const own = found.find(isOwn)
  if (own) return own.home
  const known = [...found].sort((a, b) => byRank(a.record, b.record))
  const [first] = known
  if (first && isLive(first.record)) return first.home
  // Where a claim was given back, only another nonce may begin anew.
  return [...known.map(({ home }) => home), ...homes].find((home) => !left.has(home))
}

/** Looks at the other homes: nothing there may stand in the way of a claim that is kept. */
async function mayKeep(pace: Pace, home: Shard, claim: Claim, others: readonly Shard[]): Promise<boolean> {
  for (let looks = 1; ; looks++) {
    const found = await lookAtAll(others, claim.id)
    if (found.some(({ record }) => !isLive(record) && record.fence >= claim.fence)) return false
    const inTheWay = found.filter(({ record }) => isLive(record))
    if (inTheWay.length === 0) return true
    // One of two that have met may stay. Whoever it is must see the other leave: it may have looked before we claimed.
    const waits = inTheWay.every((one) => one.record.state === 'running' && home.name < one.home.name)
    if (!waits || looks === LOOKS) return false
    await pause(pace, jittered(pace.random, backOffMs(PAUSES, looks - 1)))
  }
}

/** Gives a claim back under which nothing has run. Where the shard does not answer, this goes on for one lease. */
async function giveBack(pace: Pace, home: Shard, claim: Claim, leaseMs: number): Promise<void> {
  const release = () => home.call((store) => store.release(claim))
  try {
    await answerWithin(pace, release(), GIVE_BACK_MS)
  } catch {
    void retried(pace, release, leaseMs)
  }
}

async function retried(pace: Pace, release: () => Promise<unknown>, leaseMs: number): Promise<void> {
  let pauseMs = 20
  for (let waitedMs = 0; waitedMs < leaseMs; waitedMs += pauseMs, pauseMs *= 2) {
    await pause(pace, pauseMs, { background: true })
    try {
      await release()
      return
    } catch {
      // It lapses by itself in the end.
    }
  }
}
