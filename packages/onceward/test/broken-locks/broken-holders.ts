import type { AcquireReply, AcquireRequest } from '../../src/locks/lock-backend.ts'
import { EMPTY, type LockRecord } from '../../src/locks/lock-record.ts'
import * as transitions from '../../src/locks/lock-transitions.ts'
import { type LockFlaw, type LockParts, torn, unlapsed } from './broken-rig.ts'

/** Flaws in who is granted a lock, how long it holds, and who may end it. */
export const brokenHolders: readonly LockFlaw[] = [
  {
    name: 'a request that reads and then writes',
    rule: /of 50 concurrent requests/,
    break: (parts) => acquiring(parts, transitions.acquire, torn(parts)),
  },
  {
    name: 'a lapsed lock that two may take',
    rule: /of 20 requests for a lapsed lock/,
    break: (parts) => acquiring(parts, transitions.acquire, torn(parts)),
  },
  {
    name: 'a second holder gets in while the first works',
    rule: /works alone/,
    break: (parts) => acquiring(parts, transitions.acquire, torn(parts)),
  },
  {
    name: 'one lock for all keys',
    rule: /different keys do not stand/,
    break: ({ sound }) => ({ acquire: (request) => sound.acquire({ ...request, key: 'the lock' }) }),
  },
  {
    name: 'times judged by the clock of the client',
    rule: /not followed before its time has lapsed/,
    break: (parts, second) =>
      acquiring(parts, (found, request, now) =>
        transitions.acquire(found, request, second ? now + 600_000 : now),
      ),
  },
  {
    name: 'a lock that ends a moment early',
    rule: /not followed before its time has lapsed/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => transitions.acquire(found, request, found ? now + 1 : now)),
  },
  {
    name: 'a lapsed lock that is never free again',
    rule: /not followed before its time has lapsed on the clock of the backend, and then it is/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => transitions.acquire(unlapsed(found), request, now)),
  },
  {
    name: 'a request asked again is another request',
    rule: /asked again is the same grant/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) =>
        transitions.acquire(found, { ...request, token: `${request.token}${Math.random()}` }, now),
      ),
  },
  {
    name: 'a request asked again uses up another fence',
    rule: /asked again is the same grant|the first copies of one request|have fences of their own/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const others = found?.holders.filter(({ token }) => token !== request.token) ?? []
        return transitions.acquire(found && { ...found, holders: others }, request, now)
      }),
  },
  {
    name: 'a request asked again keeps its first end',
    rule: /counts its time from then/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const { reply, wake, record } = transitions.acquire(found, request, now)
        const again = found?.holders.some(({ token }) => token === request.token)
        return again || !record ? { reply, wake } : { reply, wake, record }
      }),
  },
  {
    name: 'an attempt that leaves a place behind',
    rule: /is refused and leaves nothing/,
    model: true,
    break: ({ sound }) => ({
      acquire: (request) => sound.acquire({ placeMs: 60_000, ...request }),
    }),
  },
  {
    name: 'a refusal that does not know for how long',
    rule: /tells when the holder in the way/,
    break: ({ sound }) => refusing(sound, 1),
  },
  {
    name: 'a refusal for longer than the holder has',
    rule: /tells when the holder in the way/,
    break: ({ sound }) => refusing(sound, 86_400_000),
  },
  {
    name: 'a release without a look at who holds the lock',
    rule: /never touches what another token holds/,
    model: true,
    break: ({ step }) => ({
      release: ({ key, token }, next) =>
        step(key, (found, now) => {
          const holder = found?.holders[0]?.token ?? token
          return transitions.release(found, { key, token: holder }, now, next)
        }),
    }),
  },
  {
    name: 'a release that always says it released',
    rule: /a second release changes nothing|a key that nobody knows|takes the lock from its holder/,
    model: true,
    break: ({ sound }) => ({
      release: async (held, next) => ({ ...(await sound.release(held, next)), released: true }),
    }),
  },
  {
    name: 'a release that says so and does nothing',
    rule: /a released lock is free at once|a view of a released lock/,
    model: true,
    break: ({ records, sound }) => ({
      async release(held, next) {
        const found = records.get(held.key)
        const holds = found?.holders.some(({ token }) => token === held.token)
        return holds ? { released: true } : sound.release(held, next)
      },
    }),
  },
  {
    name: 'a line that is read and then written',
    rule: /of many who release and ask again/,
    break: (parts) => ({
      ...acquiring(parts, transitions.acquire, torn(parts)),
      release: (held, next) =>
        torn(parts)(held.key, (found, now) => transitions.release(found, held, now, next)),
    }),
  },
  {
    name: 'a lapsed holder that may release what is no longer its own',
    rule: /a lapsed holder has nothing to release/,
    model: true,
    break: ({ step }) => ({
      release: (held, next) =>
        step(held.key, (found, now) => transitions.release(unlapsed(found), held, now, next)),
    }),
  },
  {
    name: 'a release that leaves the place of a waiter',
    rule: /gives its place up by a release/,
    model: true,
    break: ({ step, sound }) => ({
      release: async (held, next) => {
        const waits = await step(held.key, (found) => ({
          reply: found?.queue.some(({ token }) => token === held.token),
          wake: [],
        }))
        return waits && !next ? { released: false } : sound.release(held, next)
      },
    }),
  },
  {
    name: 'a release whose next request passes by those who wait',
    rule: /puts it behind whoever waits/,
    model: true,
    break: ({ sound }) => ({
      release: (held, next) => sound.release(held, next && { ...next, overtake: true }),
    }),
  },
  {
    name: 'a release that grants its next request before it looks who releases',
    rule: /a next request, asked again|puts it behind whoever waits/,
    model: true,
    break: ({ step }) => ({
      release: (held, next) =>
        step(held.key, (found, now) =>
          transitions.release(next ? { ...(found ?? EMPTY), holders: [] } : found, held, now, next),
        ),
    }),
  },
  {
    name: 'an extension that says yes and does nothing',
    rule: /is held from then on for as long as was asked/,
    model: true,
    break: extending((found, request, now) => {
      const { reply } = transitions.extend(found, request, now)
      return { reply, wake: [] }
    }),
  },
  {
    name: 'an extension after the end',
    rule: /cannot be extended and stays lost/,
    model: true,
    break: extending((found, request, now) => transitions.extend(unlapsed(found), request, now)),
  },
  {
    name: 'an extension by anybody',
    rule: /only the token of the holder extends/,
    model: true,
    break: extending((found, request, now) => {
      const token = found?.holders[0]?.token ?? request.token
      return transitions.extend(found, { ...request, token }, now)
    }),
  },
  {
    name: 'an extension that grants what nobody holds',
    rule: /stays lost, though nobody else/,
    model: true,
    break: extending((found, request, now) => {
      if (found?.holders.some(({ until }) => until > now)) return transitions.extend(found, request, now)
      const asks = { ...request, mode: 'exclusive', permits: 1, owner: 'again' } as const
      const { record, reply, wake } = transitions.acquire(found, asks, now)
      return record ? { reply: reply.granted, record, wake } : { reply: reply.granted, wake }
    }),
  },
  {
    name: 'an extension that only ever moves an end further away',
    rule: /to an earlier end too/,
    model: true,
    break: extending((found, request, now) => {
      const held = found?.holders.find(({ token }) => token === request.token)
      return transitions.extend(
        found,
        { ...request, ttlMs: Math.max(request.ttlMs, (held?.until ?? 0) - now) },
        now,
      )
    }),
  },
  {
    name: 'an extension that takes a place for a grant',
    rule: /whoever waits has nothing to extend/,
    model: true,
    break: extending((found, request, now) => {
      const waits = found?.queue.some(({ token }) => token === request.token)
      return waits ? { reply: true, wake: [] } : transitions.extend(found, request, now)
    }),
  },
  {
    name: 'one answer for a whole batch of extensions',
    rule: /each with its own answer/,
    break: ({ sound }) => ({
      extend: async (requests) => {
        const answers = await sound.extend(requests)
        return answers.map(() => answers.every(Boolean))
      },
    }),
  },
  {
    name: 'answers in the order of keys',
    rule: /in the order asked/,
    break: ({ sound }) => ({
      extend: (requests) =>
        sound.extend([...requests].sort((left, right) => (left.key < right.key ? -1 : 1))),
    }),
  },
  {
    name: 'the time of the first extension for all',
    rule: /for each lock of the batch/,
    break: ({ sound }) => ({
      extend: (requests) =>
        sound.extend(requests.map((one) => ({ ...one, ttlMs: requests[0]?.ttlMs ?? one.ttlMs }))),
    }),
  },
  {
    name: 'an extension that forgets what the holder said',
    rule: /replaces what people see of the holder, or leaves it/,
    model: true,
    break: extending((found, request, now) => transitions.extend(found, { meta: '', ...request }, now)),
  },
]

type Acquiring = (
  found: LockRecord | undefined,
  request: AcquireRequest,
  now: number,
) => transitions.Step<AcquireReply>

function acquiring(
  parts: LockParts,
  decide: Acquiring,
  step: LockParts['step'] = parts.step,
): ReturnType<LockFlaw['break']> {
  return { acquire: (request) => step(request.key, (found, now) => decide(found, request, now)) }
}

function extending(decide: typeof transitions.extend): LockFlaw['break'] {
  return ({ step }) => ({
    extend: (requests) =>
      Promise.all(requests.map((one) => step(one.key, (found, now) => decide(found, one, now)))),
  })
}

function refusing({ acquire }: LockParts['sound'], retryAfterMs: number): ReturnType<LockFlaw['break']> {
  return {
    async acquire(request) {
      const reply = await acquire(request)
      return reply.granted ? reply : { granted: false, retryAfterMs }
    },
  }
}
