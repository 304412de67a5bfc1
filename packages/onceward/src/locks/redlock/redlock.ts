import type { Timers } from '../../core/clock.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import type { RedisClient } from '../../drivers/redis/index.ts'
import type { UnfencedBackend } from '../lock-backend.ts'
import { MAX_FORCED } from '../lock-record.ts'
import { noted, whole } from '../redis-arguments.ts'
import { ballot, quorumOf, type Votes } from './ballot.ts'
import { checkClients, checkedOptions, type RedlockOptions } from './redlock-options.ts'
import { redlockScripts } from './redlock-scripts.ts'
import { redlockServer, type Vote } from './redlock-server.ts'
import { agreedView, isAgreed, readSight } from './redlock-view.ts'

const CAPABILITIES: UnfencedBackend['capabilities'] = {
  fencing: false,
  fifo: false,
  push: false,
  shared: false,
  marks: false,
  grantsPlaces: false,
  durable: true,
}

/** How far apart the clocks of two machines may run, as a part of a time. */
const DRIFT = 0.01

/** A grant of which less than this part is left when it is given is none: it came too late to be of use. */
const LEAST_LEFT = 0.1

/** For so long a release is repeated on a server that did not answer, in ms. */
const RELEASE_MS = 10_000

/** How long those whose votes were split pause at most, in ms: each for another time, so that one comes first. */
const LONGEST_TIE_MS = 50

/**
 * Locks by the majority of independent Redis servers (3, 5 or 7, no replicas of each other), as in the Redlock algorithm:
 * whoever gets the key on most of them within a part of the ttl has it. A minority may be down.
 *
 * Limit: **for efficiency only.** There is no fence, so the resource cannot tell a holder that was paused, or whose servers
 * forgot the key in a restart, from the next one: two may work at once. Where that does harm, use a backend with fences,
 * `redisLocks` for example. Waiters are not served in order and look again now and then. There are no shared locks, and no
 * marks, so no scheduled work.
 *
 * - An acquire is answered as soon as a majority has answered; slow servers are not waited for. A grant of which too little
 *   is left counts as none. What an acquire did not win it gives back everywhere, also where the reply was lost.
 * - Clients are of `redis` (node-redis 5 and 6) or `ioredis` (5 and 6), and stay yours.
 *
 * @throws `TypeError` for less than 3 clients, an even number, or the same one twice. Calls: `STORE_UNAVAILABLE` (effect
 * none) when no majority answers within `commandTimeoutMs`.
 * @example
 * import { createLocks } from 'onceward/locks'
 * import { redlock } from 'onceward/locks/redlock'
 * import { Redis } from 'ioredis'
 *
 * const clients = ['redis://10.0.0.1', 'redis://10.0.0.2', 'redis://10.0.0.3'].map((url) => new Redis(url))
 * const locks = createLocks(redlock(clients))
 */
export function redlock(clients: readonly RedisClient[], options: RedlockOptions = {}): UnfencedBackend {
  checkClients(clients)
  const checked = checkedOptions(options)
  const { clock = systemClock, timers = systemTimers, random = systemRandom } = options
  const settings = { options: checked, scripts: redlockScripts(), clock, timers }
  const servers = clients.map((client) => redlockServer(client, settings))
  const quorum = quorumOf(servers.length)

  /**
   * Whether most servers say yes, as soon as that is certain. Those that failed count as no, once all are heard: until
   * then it may turn out that nobody knows.
   */
  const mostOf = <T>({ count, pending }: Votes<T>, says: (answer: T) => boolean): boolean | undefined => {
    if (count(says) >= quorum) return true
    const noes = count((answer) => !says(answer))
    return pending === 0 || noes > servers.length - quorum ? false : undefined
  }
  const most = (votes: Votes<Vote>) => mostOf(votes, isYes)
  /** When asking again can help: soon where nobody has a majority, else when enough servers have lapsed. */
  const retryAfter = (votes: readonly Vote[]): number => {
    const refusals = votes.filter((vote) => !isYes(vote))
    const holders = refusals.map(([, , holder]) => String(holder))
    const held = holders.some((one) => holders.filter((other) => other === one).length >= quorum)
    if (!held) return 1 + Math.floor(random.fraction() * LONGEST_TIE_MS)
    const times = refusals.map(([, remainingMs]) => Number(remainingMs)).sort((one, other) => one - other)
    const needed = quorum - (votes.length - refusals.length)
    return Math.max(1, times[Math.min(needed, times.length) - 1] ?? 1)
  }

  return {
    where: `${servers.length} Redis servers (${servers.map(({ where }) => where).join(', ')})`,
    capabilities: CAPABILITIES,
    minTtlMs: 100,
    drift: DRIFT,
    async acquire({ key, token, mode, ttlMs, owner, meta }) {
      if (mode !== 'exclusive') throw new TypeError('redlock has no shared locks; use another backend')
      const startedAt = clock.monotonic()
      const attempt = random.nonce()
      const undo = (some: typeof servers) =>
        Promise.all(some.map((server) => server.undo({ key, token }, attempt, ttlMs)))
      const args = [token, attempt, whole(ttlMs), owner, noted(meta)]
      const outcome = await ballot(
        servers,
        (server) => server.run('acquire', key, args),
        (votes) => {
          const won = most(votes)
          return won === undefined ? undefined : { won, answers: [...votes.answers] }
        },
      ).catch((error: unknown) => {
        void undo(servers)
        throw error
      })
      if (outcome.won) {
        const leftMs = ttlMs * (1 - DRIFT) - 2 - (clock.monotonic() - startedAt)
        if (leftMs >= ttlMs * LEAST_LEFT) return { granted: true }
        void undo(servers)
        return { granted: false, retryAfterMs: 1 }
      }
      // What was won is given back before this is answered, so that nothing is left where it can be reached. Where no
      // answer came, that goes on in the background.
      const { answers } = outcome
      void undo(servers.filter((_, place) => answers[place] === undefined))
      const won = servers.filter((_, place) => isYes(answers[place] ?? []))
      if (won.length > 0) await settledWithin(timers, undo(won), checked.commandTimeoutMs)
      return {
        granted: false,
        retryAfterMs: retryAfter(answers.filter((vote) => vote !== undefined)),
      }
    },
    async extend(requests) {
      const startedAt = clock.monotonic()
      const kept = await ballot(
        servers,
        (server) => server.extend(requests),
        (votes): readonly boolean[] | undefined => {
          const decided: boolean[] = []
          for (const place of requests.keys()) {
            const is = mostOf(votes, (replies) => replies[place] === 1)
            if (is === undefined) return undefined
            decided.push(is)
          }
          return decided
        },
      )
      const spentMs = clock.monotonic() - startedAt
      return kept.map((is, place) => is && spentMs < (requests[place]?.ttlMs ?? 0) * (1 - LEAST_LEFT))
    },
    async release({ key, token }) {
      const released = await ballot(
        servers,
        (server) => {
          const reply = server.run('release', key, [token, ''])
          reply.catch(() => server.undo({ key, token }, '', RELEASE_MS))
          return reply
        },
        ({ count, pending, failed }): boolean | undefined => {
          const yes = count(isYes)
          if (yes >= quorum) return true
          if (yes + pending + failed < quorum) return false
          // Those that failed may have been the rest of the majority that held it.
          return pending === 0 ? yes > 0 : undefined
        },
      )
      return { released }
    },
    async transfer({ key, token }, to) {
      const attempt = random.nonce()
      const args = [token, to.token, attempt, whole(to.ttlMs), to.owner, noted(to.meta)]
      const moved = await ballot(servers, (server) => server.run('transfer', key, args), most)
      if (moved) return { mode: 'exclusive' }
      for (const server of servers) void server.undo({ key, token: to.token }, attempt, to.ttlMs)
      return undefined
    },
    async inspect(key) {
      const { view } = await ballot(
        servers,
        async (server) => readSight(await server.run('inspect', key, [])),
        ({ answers, pending }) => {
          const sights = answers.filter((sight) => sight !== undefined)
          return pending === 0 || isAgreed(sights, quorum)
            ? { view: agreedView(key, sights, quorum) }
            : undefined
        },
      )
      return view
    },
    async forceRelease({ key, ifFence, by, reason }) {
      // Nobody holds anything with a fence.
      if (ifFence !== undefined) return 0
      const args = [by, reason, random.nonce(), String(MAX_FORCED)]
      // All are waited for, so that they remember forced releases in the same order.
      const lost = await ballot(
        servers,
        (server) => server.run('force', key, args),
        (votes) => (votes.pending === 0 ? most(votes) : undefined),
      )
      return lost ? 1 : 0
    },
    async close() {
      for (const server of servers) server.close()
    },
  }
}

function isYes([yes]: Vote): boolean {
  return yes === 1
}

/** Resolves when `work` has, or after `ms`. */
function settledWithin(timers: Timers, work: Promise<unknown>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, resolve)
    void work.then(() => {
      cancel()
      resolve()
    })
  })
}
