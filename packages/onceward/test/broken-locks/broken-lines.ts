import type { AcquireReply, AcquireRequest } from '../../src/locks/lock-backend.ts'
import { EMPTY, type LockRecord } from '../../src/locks/lock-record.ts'
import * as transitions from '../../src/locks/lock-transitions.ts'
import { type LockFlaw, type LockParts, torn } from './broken-rig.ts'

/** Flaws in fences, in the line of those who wait, in sharing, and in waking. */
export const brokenLines: readonly LockFlaw[] = [
  {
    name: 'a fence that starts over at 1 when the lock was forgotten',
    rule: /when an idle lock was forgotten/,
    model: true,
    break: (parts) => fenced(parts, (fence, found) => (found?.holders.length ? fence : 1)),
  },
  {
    name: 'a fence that is the time and nothing else',
    rule: /however quickly|grants it a greater fence when nobody waits|keeps the fences it had asked for/,
    model: true,
    break: (parts) => fenced(parts, (_fence, _found, now) => now * 1000),
  },
  {
    name: 'a grant with the fence of the one before',
    rule: /over release, lapse, forced release/,
    model: true,
    break: (parts) => fenced(parts, (fence, found) => found?.fence || fence),
  },
  {
    name: 'many fences asked for, one kept aside',
    rule: /has them all to itself/,
    model: true,
    break: ({ sound, step }) => ({
      async acquire(request) {
        const reply = await sound.acquire(request)
        const { fence } = reply.granted ? reply : {}
        if (fence === undefined) return reply
        return step(request.key, (found) =>
          found ? { reply, record: { ...found, fence }, wake: [] } : { reply, wake: [] },
        )
      },
    }),
  },
  {
    name: 'a fence used up by a refusal',
    rule: /a refused request uses up no fence/,
    break: ({ step }) => ({
      acquire: (request) =>
        step(request.key, (found, now) => {
          const { reply, record = found, wake } = transitions.acquire(found, request, now)
          if (reply.granted || !record) return record ? { reply, record, wake } : { reply, wake }
          return { reply, record: { ...record, fence: record.fence + 1 }, wake }
        }),
    }),
  },
  {
    name: 'a waiter whose fences are forgotten until its turn',
    rule: /a waiter is granted the fences it asked for/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const waits = found?.queue.some(({ token }) => token === request.token)
        return transitions.acquire(found, waits ? { ...request, fences: 1 } : request, now)
      }),
  },
  {
    name: 'a place lost by asking again',
    rule: /keeps its one place/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const queue = found?.queue.filter(({ token }) => token !== request.token) ?? []
        const { reply, record, wake } = transitions.acquire(found && { ...found, queue }, request, now)
        return reply.granted
          ? transitions.acquire(found, request, now)
          : { reply, wake, ...(record && { record }) }
      }),
  },
  {
    name: 'a place for each time of asking',
    rule: /keeps its one place/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const step = transitions.acquire(found, request, now)
        const place = step.record?.queue.find(({ token }) => token === request.token)
        const again = found?.queue.some(({ token }) => token === request.token)
        if (!step.record || !place || !again) return step
        return { ...step, record: { ...step.record, queue: [...step.record.queue, place] } }
      }),
  },
  {
    name: 'places that are read and then written',
    rule: /concurrent waiters each get a place/,
    break: (parts) => acquiring(parts, transitions.acquire, torn(parts)),
  },
  {
    name: 'a line that is served from its end',
    rule: /order in which they took|goes to the end of the line|the first waiter is granted|behind a writer are granted|in the order of places/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const waits = found?.queue.some(({ token }) => token === request.token)
        if (!found || !waits) return transitions.acquire(found, request, now)
        const turned = { ...found, queue: found.queue.toReversed() }
        const { reply, record, wake } = transitions.acquire(turned, request, now)
        return record
          ? { reply, wake, record: { ...record, queue: record.queue.toReversed() } }
          : { reply, wake }
      }),
  },
  {
    name: 'whoever comes first to a free lock gets it',
    rule: /does not push in front/,
    model: true,
    break: ({ sound }) => ({
      acquire: (request) =>
        sound.acquire(request.placeMs === undefined ? { ...request, overtake: true } : request),
    }),
  },
  {
    name: 'a line that only the one who asks first leaves',
    rule: /of many waiters who ask at once/,
    model: true,
    break: ({ sound }) => ({ acquire: (request) => sound.acquire({ ...request, overtake: true }) }),
  },
  {
    name: 'a holder that can be overtaken',
    rule: /is still refused what another holds/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) =>
        transitions.acquire(request.overtake && found ? { ...found, holders: [] } : found, request, now),
      ),
  },
  {
    name: 'nobody may overtake',
    rule: /unless it may overtake/,
    model: true,
    break: ({ sound }) => ({ acquire: (request) => sound.acquire({ ...request, overtake: false }) }),
  },
  {
    name: 'an overtaker that stays in the line',
    rule: /may be allowed to overtake it, and leaves it/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const step = transitions.acquire(found, request, now)
        if (!step.reply.granted || !request.overtake || !step.record || !found) return step
        return { ...step, record: { ...step.record, queue: found.queue } }
      }),
  },
  {
    name: 'a dead waiter that blocks the line for ever',
    rule: /a waiter that does not come back/,
    model: true,
    break: ({ sound }) => ({
      acquire: ({ placeMs, ...request }) =>
        sound.acquire(placeMs === undefined ? request : { ...request, placeMs: 86_400_000_000 }),
    }),
  },
  {
    name: 'a place that is not renewed by asking',
    rule: /is not given up before its time/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const step = transitions.acquire(found, request, now)
        const old = found?.queue.find(({ token, until }) => token === request.token && until > now)
        if (step.reply.granted || !step.record || !old) return step
        const queue = step.record.queue.map((place) => (place.token === old.token ? old : place))
        return { ...step, record: { ...step.record, queue } }
      }),
  },
  {
    name: 'a line for all keys',
    rule: /the line of one key/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const others = [...parts.records].filter(([key]) => key !== request.key)
        const waits = others.some(([, { queue }]) => queue.length > 0)
        const reply = { granted: false, retryAfterMs: 1 } as const
        return waits ? { reply, wake: [] } : transitions.acquire(found, request, now)
      }),
  },
  {
    name: 'permits that nobody counts',
    rule: /for three permits three are granted/,
    model: true,
    break: ({ sound }) => ({
      acquire: (request) => sound.acquire({ ...request, permits: Number.POSITIVE_INFINITY }),
    }),
  },
  {
    name: 'permits that are read and then taken',
    rule: /for three permits three are granted|concurrent readers have come and gone/,
    break: (parts) => acquiring(parts, transitions.acquire, torn(parts)),
  },
  {
    name: 'readers that exclude each other',
    rule: /readers hold a lock together/,
    model: true,
    break: ({ sound }) => ({ acquire: (request) => sound.acquire({ ...request, permits: 1 }) }),
  },
  {
    name: 'a writer beside readers',
    rule: /a writer waits for the last of them/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const alone = found && { ...found, holders: found.holders.filter(({ mode }) => mode === 'exclusive') }
        return transitions.acquire(request.mode === 'exclusive' ? alone : found, request, now)
      }),
  },
  {
    name: 'a reader beside a writer',
    rule: /a writer keeps readers out/,
    model: true,
    break: (parts) =>
      acquiring(parts, (found, request, now) => {
        const readers = found && { ...found, holders: found.holders.filter(({ mode }) => mode === 'shared') }
        return transitions.acquire(request.mode === 'shared' ? readers : found, request, now)
      }),
  },
  {
    name: 'readers that starve a writer',
    rule: /so that it is not starved/,
    model: true,
    break: ({ sound }) => ({
      acquire: (request) => sound.acquire({ ...request, overtake: request.mode === 'shared' }),
    }),
  },
  {
    name: 'the release of one reader that ends them all',
    rule: /a release by one of those who hold together/,
    model: true,
    break: ({ step, sound }) => ({
      async release(held, next) {
        const reply = await sound.release(held, next)
        if (reply.released && !next)
          await step(held.key, (found) => ({ reply, record: { ...(found ?? EMPTY), holders: [] }, wake: [] }))
        return reply
      },
    }),
  },
  {
    name: 'one end for all who hold together',
    rule: /extends and loses its own time/,
    model: true,
    break: ({ step, sound }) => ({
      extend: async (requests) => {
        const answers = await sound.extend(requests)
        for (const [index, { key, ttlMs }] of requests.entries()) {
          if (!answers[index]) continue
          await step(key, (found = EMPTY, now) => {
            const holders = found.holders.map((holder) => ({ ...holder, until: now + ttlMs }))
            return { reply: undefined, record: { ...found, holders }, wake: [] }
          })
        }
        return answers
      },
    }),
  },
  {
    name: 'no wake at all',
    rule: /a release wakes the first waiter/,
    break: () => ({ watch: () => () => {} }),
  },
  {
    name: 'a wake that reaches only who is connected as the one who releases',
    rule: /a release wakes the first waiter, on this connection and on another/,
    break: ({ sound }, second) => (second ? { watch: () => () => {} } : sound),
  },
  {
    name: 'a wake for the first of the line only',
    rule: /woken one after the other down the line/,
    break: ({ sound }) => {
      let woken = 0
      return {
        watch: (held, wake) =>
          sound.watch?.(held, () => {
            woken += 1
            if (woken === 1) wake()
          }) ?? (() => {}),
      }
    },
  },
  {
    name: 'no wake by a forced release',
    rule: /a forced release wakes/,
    break: ({ step }) => ({
      forceRelease: (request) =>
        step(request.key, (found, now) => ({ ...transitions.forceRelease(found, request, now), wake: [] })),
    }),
  },
  {
    name: 'no wake by a release that asks for more',
    rule: /release with a next request wakes/,
    break: ({ step, sound }) => ({
      release: (held, next) =>
        next
          ? step(held.key, (found, now) => ({ ...transitions.release(found, held, now, next), wake: [] }))
          : sound.release(held),
    }),
  },
  {
    name: 'no wake by a waiter that gives up',
    rule: /that gives up its turn wakes/,
    break: ({ step }) => ({
      release: (held, next) =>
        step(held.key, (found, now) => {
          const step = transitions.release(found, held, now, next)
          return step.reply.released ? step : { ...step, wake: [] }
        }),
    }),
  },
  {
    name: 'no wake by a grant',
    rule: /a reader that is granted wakes/,
    break: (parts) =>
      acquiring(parts, (found, request, now) => ({ ...transitions.acquire(found, request, now), wake: [] })),
  },
  {
    name: 'a wake that is lost while the watch begins',
    rule: /no wake is missed/,
    break: ({ sound }) => ({
      watch(held, wake) {
        let stop = () => {}
        setTimeout(() => {
          stop = sound.watch?.(held, wake) ?? stop
        }, 5)
        return () => stop()
      },
    }),
  },
  {
    name: 'a watch that never stops',
    rule: /stopped watching hears nothing more/,
    break: ({ sound }) => ({
      watch: (held, wake) => {
        sound.watch?.(held, wake)
        return () => {}
      },
    }),
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

/** Grants with another fence. */
function fenced(
  parts: LockParts,
  fenceOf: (fence: number, found: LockRecord | undefined, now: number) => number,
): ReturnType<LockFlaw['break']> {
  return acquiring(parts, (found, request, now) => {
    const step = transitions.acquire(found, request, now)
    const { reply, record } = step
    const again = found?.holders.some(({ token, until }) => token === request.token && until > now)
    if (!reply.granted || !record || again || reply.fence === undefined) return step
    const live = found && { ...found, holders: found.holders.filter(({ until }) => until > now) }
    const fence = fenceOf(reply.fence, live, now)
    const holders = record.holders.map((one) => (one.token === request.token ? { ...one, fence } : one))
    return { ...step, reply: { ...reply, fence }, record: { ...record, fence, holders } }
  })
}
