import type { LockView } from '../../src/locks/lock-backend.ts'
import { EMPTY, type LockRecord } from '../../src/locks/lock-record.ts'
import * as transitions from '../../src/locks/lock-transitions.ts'
import { type LockFlaw, type LockParts, unlapsed } from './broken-rig.ts'

/** Flaws in changing hands, in force, in marks, in what people see, and in the end of a backend. */
export const brokenHands: readonly LockFlaw[] = [
  {
    name: 'a transfer that leaves the old token its right',
    rule: /belongs to the new token alone/,
    model: true,
    break: transferring((found, from, to, now) => {
      const step = transitions.transfer(found, from, to, now)
      const old = found?.holders.find(({ token }) => token === from.token)
      if (!step.record || !old) return step
      return { ...step, record: { ...step.record, holders: [...step.record.holders, old] } }
    }),
  },
  {
    name: 'a transfer with a fence of its own',
    rule: /with its fence and mode/,
    model: true,
    break: transferring((found, from, to, now) => {
      const { reply, ...step } = transitions.transfer(found, from, to, now)
      return { ...step, reply: reply && { ...reply, fence: (reply.fence ?? 0) + 1 } }
    }),
  },
  {
    name: 'a transfer by anybody',
    rule: /of two transfers|whoever does not hold the lock cannot hand it over/,
    model: true,
    break: transferring((found, from, to, now) =>
      transitions.transfer(found, { ...from, token: found?.holders[0]?.token ?? from.token }, to, now),
    ),
  },
  {
    name: 'a transfer of what has lapsed',
    rule: /whoever does not hold the lock cannot hand it over/,
    model: true,
    break: transferring((found, from, to, now) =>
      transitions.transfer(found && unlapsed(found), from, to, now),
    ),
  },
  {
    name: 'a transfer that takes effect once and is then unknown',
    rule: /a transfer asked again answers the same/,
    model: true,
    break: transferring((found, from, to, now) => {
      const held = found?.holders.some(({ token }) => token === from.token)
      return held ? transitions.transfer(found, from, to, now) : { reply: undefined, wake: [] }
    }),
  },
  {
    name: 'a transfer that keeps the end of the old holder',
    rule: /has a time of its own/,
    model: true,
    break: transferring((found, from, to, now) => {
      const old = found?.holders.find(({ token }) => token === from.token)
      return transitions.transfer(found, from, { ...to, ttlMs: old ? old.until - now : to.ttlMs }, now)
    }),
  },
  {
    name: 'a transfer that keeps what the old holder said',
    rule: /nothing of what the old one said/,
    model: true,
    break: transferring((found, from, to, now) => {
      const meta = found?.holders.find(({ token }) => token === from.token)?.meta
      return transitions.transfer(found, from, { ...(meta === undefined ? {} : { meta }), ...to }, now)
    }),
  },
  {
    name: 'a transfer of a place',
    rule: /a place in the line cannot be handed over/,
    model: true,
    break: transferring((found, from, to, now) => {
      const waits = found?.queue.find(({ token }) => token === from.token)
      if (!waits || !found) return transitions.transfer(found, from, to, now)
      const queue = found.queue.map((place) => (place === waits ? { ...place, token: to.token } : place))
      return { reply: { mode: waits.mode }, record: { ...found, queue }, wake: [] }
    }),
  },
  {
    name: 'a transfer that makes everybody the same',
    rule: /hands over its own part/,
    model: true,
    break: transferring((found, from, to, now) => {
      const { reply, record, wake } = transitions.transfer(found, from, to, now)
      const holders = record?.holders.filter(({ token }) => token === to.token) ?? []
      return record ? { reply, wake, record: { ...record, holders } } : { reply, wake }
    }),
  },
  {
    name: 'a forced release that hits whoever came later',
    rule: /hits only the grant that has this fence|a permit is free again/,
    model: true,
    break: ({ sound }) => ({
      forceRelease: ({ ifFence: _, ...request }) => sound.forceRelease(request),
    }),
  },
  {
    name: 'a forced release that hits every later fence',
    rule: /hits only the grant that has this fence/,
    model: true,
    break: ({ sound }) => ({
      async forceRelease({ ifFence = Number.MAX_SAFE_INTEGER, ...request }) {
        const holders = (await sound.inspect(request.key))?.holders ?? []
        return holders.some(({ fence = 0 }) => fence >= ifFence || ifFence === Number.MAX_SAFE_INTEGER)
          ? sound.forceRelease(request)
          : 0
      },
    }),
  },
  {
    name: 'a grant that is known by its first fence only',
    rule: /every fence of a grant names it/,
    model: true,
    break: forcing((found, request, now) =>
      transitions.forceRelease(
        found && { ...found, holders: found.holders.map((one) => ({ ...one, fences: 1 })) },
        request,
        now,
      ),
    ),
  },
  {
    name: 'a forced release that nobody hears of',
    rule: /people see who forced a release/,
    model: true,
    break: forcing((found, request, now) => {
      const { reply, record, wake } = transitions.forceRelease(found, request, now)
      return record ? { reply, wake, record: { ...record, forced: found?.forced ?? [] } } : { reply, wake }
    }),
  },
  {
    name: 'a forced release that is forgotten at the next grant',
    rule: /also after the next grant/,
    model: true,
    break: ({ step }) => ({
      acquire: (request) =>
        step(request.key, (found, now) => {
          const { reply, record, wake } = transitions.acquire(found, request, now)
          return record && reply.granted
            ? { reply, wake, record: { ...record, forced: [] } }
            : { reply, wake, ...(record ? { record } : {}) }
        }),
    }),
  },
  {
    name: 'forced releases that pile up for ever',
    rule: /the latest ten are remembered/,
    break: forcing((found, request, now) => {
      const { reply, record, wake } = transitions.forceRelease(found, request, now)
      if (!record) return { reply, wake }
      return {
        reply,
        wake,
        record: { ...record, forced: [...(found?.forced ?? []), ...record.forced.slice(-1)] },
      }
    }),
  },
  {
    name: 'forced releases with the latest first',
    rule: /the latest last/,
    model: true,
    break: ({ sound }) => ({
      async inspect(key) {
        const view = await sound.inspect(key)
        return view && { ...view, forced: view.forced.toReversed() }
      },
    }),
  },
  {
    name: 'a forced release of nobody that is remembered',
    rule: /of what nobody holds does nothing/,
    model: true,
    break: forcing((found, request, now) => {
      const step = transitions.forceRelease(found, request, now)
      if (step.reply > 0) return step
      const entry = { at: now, by: request.by, reason: request.reason }
      return {
        ...step,
        record: { ...(found ?? EMPTY), forced: [...(found?.forced ?? []), entry].slice(-10) },
      }
    }),
  },
  {
    name: 'a forced release that sends everybody home',
    rule: /leaves the line as it is/,
    model: true,
    break: forcing((found, request, now) => {
      const { reply, record, wake } = transitions.forceRelease(found, request, now)
      return record ? { reply, wake, record: { ...record, queue: [] } } : { reply, wake }
    }),
  },
  {
    name: 'a mark by somebody who has lost the lock',
    rule: /whoever does not hold the lock leaves no mark/,
    model: true,
    break: marking((found, _, text, keepMs, now) => ({
      reply: true,
      record: { ...(found ?? EMPTY), mark: { text, until: now + keepMs } },
      wake: [],
    })),
  },
  {
    name: 'a mark by a holder that has lapsed',
    rule: /whoever does not hold the lock leaves no mark/,
    model: true,
    break: marking((found, held, text, keepMs, now) =>
      transitions.mark(found && unlapsed(found), held, text, keepMs, now),
    ),
  },
  {
    name: 'a mark that ends with its grant',
    rule: /told to the next one|told to a waiter/,
    model: true,
    break: ({ sound, records }) => ({
      async release(held, next) {
        const reply = await sound.release(held, next)
        const { mark: _, ...rest } = records.get(held.key) ?? EMPTY
        if (reply.released) records.set(held.key, rest)
        return reply
      },
    }),
  },
  {
    name: 'a mark that is told once',
    rule: /a mark outlives|told to the next one/,
    model: true,
    break: ({ sound, records }) => ({
      async acquire(request) {
        const reply = await sound.acquire(request)
        const { mark: _, ...rest } = records.get(request.key) ?? EMPTY
        if (reply.granted) records.set(request.key, rest)
        return reply
      },
    }),
  },
  {
    name: 'a mark that stays for ever',
    rule: /a mark is forgotten when its time has come/,
    model: true,
    break: ({ sound }) => ({
      mark: async (held, text, keepMs) => (await sound.mark?.(held, text, keepMs + 86_400_000_000)) ?? false,
    }),
  },
  {
    name: 'a first mark that stays',
    rule: /a later mark replaces the one before/,
    model: true,
    break: marking((found, held, text, keepMs, now) => {
      const step = transitions.mark(found, held, text, keepMs, now)
      const old = found?.mark
      return step.record && old && old.until > now ? { ...step, record: { ...step.record, mark: old } } : step
    }),
  },
  {
    name: 'a mark that is trimmed',
    rule: /a mark is any text/,
    break: ({ sound }) => ({
      mark: async (held, text, keepMs) => (await sound.mark?.(held, text.trim(), keepMs)) ?? false,
    }),
  },
  {
    name: 'a view with the token of the holder',
    rule: /no view shows a token/,
    break: ({ sound, records }) => ({
      async inspect(key) {
        const view = await sound.inspect(key)
        return view && { ...view, raw: records.get(key)?.holders }
      },
    }),
  },
  {
    name: 'a view with the tokens of the line',
    rule: /no view shows a token/,
    break: ({ sound, records }) => ({
      async inspect(key) {
        const view = await sound.inspect(key)
        return view && { ...view, queue: records.get(key)?.queue }
      },
    }),
  },
  {
    name: 'a view of what nobody has used',
    rule: /nothing is known of a key/,
    break: ({ records, now }) => ({
      inspect: async (key) => transitions.view(key, records.get(key) ?? EMPTY, now()),
    }),
  },
  {
    name: 'a migration that can be run once',
    rule: /can be created again/,
    break: ({ records }) => ({
      async migrate() {
        if (records.has('table')) throw new Error('table exists')
        records.set('table', EMPTY)
        return []
      },
    }),
  },
  {
    name: 'a view of those who have lapsed',
    rule: /neither who has lapsed/,
    model: true,
    break: ({ records, now }) => ({
      async inspect(key) {
        const found = records.get(key)
        return found && transitions.view(key, unlapsed(found), now())
      },
    }),
  },
  {
    name: 'a view that counts all requests as waiting',
    rule: /how many wait/,
    model: true,
    break: viewing((view) => ({ ...view, waiting: view.waiting + view.holders.length })),
  },
  {
    name: 'a view with the end in place of the time that remains',
    rule: /for how long still/,
    break: ({ sound, now }) => ({
      async inspect(key) {
        const view = await sound.inspect(key)
        const holders = view?.holders.map((one) => ({ ...one, remainingMs: one.remainingMs + now() })) ?? []
        return view && { ...view, holders }
      },
    }),
  },
  ...(
    [
      ['without regard to case', (key) => key.toLowerCase()],
      ['in one normal form', (key) => key.normalize('NFKC')],
      ['without the spaces around them', (key) => key.trim()],
      ['up to 255 characters', (key) => key.slice(0, 255)],
      ['by what is in braces', (key) => /\{([^}]+)\}/.exec(key)?.[1] ?? key],
    ] as readonly [string, (key: string) => string][]
  ).map(
    ([how, fold]): LockFlaw => ({
      name: `keys that are read ${how}`,
      rule: /any text is a key of its own/,
      break: (parts) => folded(parts, fold),
    }),
  ),
  {
    name: 'owners whose quotes are doubled',
    rule: /any text says who holds/,
    break: ({ sound }) => ({
      acquire: (request) => sound.acquire({ ...request, owner: request.owner.replaceAll('"', '""') }),
    }),
  },
  {
    name: 'a closed backend that hangs',
    rule: /after close nothing hangs/,
    break: ({ sound }) => {
      let closed = false
      return {
        close: async () => {
          closed = true
        },
        inspect: (key) => (closed ? new Promise(() => {}) : sound.inspect(key)),
      }
    },
  },
  {
    name: 'a closed backend that fails in its driver’s words',
    rule: /after close nothing hangs/,
    break: ({ sound }) => {
      let closed = false
      return {
        close: async () => {
          closed = true
        },
        extend: async (requests) => {
          if (closed) throw new Error('connection is closed')
          return sound.extend(requests)
        },
      }
    },
  },
  {
    name: 'a backend that boasts',
    rule: /says the same of itself/,
    break: ({ sound }) => ({ capabilities: { ...sound.capabilities, durable: true } }),
  },
]

function transferring(decide: typeof transitions.transfer): LockFlaw['break'] {
  return ({ step }) => ({
    transfer: (from, to) => step(from.key, (found, now) => decide(found, from, to, now)),
  })
}

function forcing(decide: typeof transitions.forceRelease): LockFlaw['break'] {
  return ({ step }) => ({
    forceRelease: (request) => step(request.key, (found, now) => decide(found, request, now)),
  })
}

function marking(decide: typeof transitions.mark): LockFlaw['break'] {
  return ({ step }) => ({
    mark: (held, text, keepMs) => step(held.key, (found, now) => decide(found, held, text, keepMs, now)),
  })
}

function viewing(change: (view: LockView) => LockView): LockFlaw['break'] {
  return ({ sound }) => ({
    async inspect(key) {
      const view = await sound.inspect(key)
      return view && change(view)
    },
  })
}

/** Files locks under another key, and answers under the key asked for. */
function folded(
  { sound, records, now }: LockParts,
  fold: (key: string) => string,
): ReturnType<LockFlaw['break']> {
  return {
    acquire: (request) => sound.acquire({ ...request, key: fold(request.key) }),
    extend: (requests) => sound.extend(requests.map((one) => ({ ...one, key: fold(one.key) }))),
    release: (held) => sound.release({ ...held, key: fold(held.key) }),
    async inspect(key) {
      const found: LockRecord | undefined = records.get(fold(key))
      return found && transitions.view(key, found, now())
    },
  }
}
