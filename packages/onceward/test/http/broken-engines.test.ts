import { describe, expect, it } from 'vitest'
import { isOncewardError } from '../../src/core/errors.ts'
import { operationId } from '../../src/core/identity.ts'
import type { AttemptReply, Call, Once, Operation } from '../../src/core/once-types.ts'
import type { GuardedOnce } from '../../src/http/guard-options.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { startNode } from './node-binding.ts'

type Work<T> = (op: Operation) => T | Promise<T>

/** A mistake of an engine with its store, and a case that must catch it. */
interface Mistake {
  readonly caughtBy: string
  attempt<T>(once: Once, call: Call, work: Work<T>): Promise<AttemptReply<T>>
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  'answers before it has stored': {
    caughtBy: 'the answer leaves only after it is stored',
    attempt: <T>(once: Once, call: Call, work: Work<T>) =>
      new Promise<AttemptReply<T>>((resolve, reject) => {
        const noted = async (op: Operation): Promise<T> => {
          const value = await work(op)
          resolve({ outcome: 'executed', value, id: op.id, expiresInMs: 1 })
          return value
        }
        once.attempt(call, noted).then(resolve, reject)
      }),
  },
  'runs the work without its store': {
    caughtBy: 'a store that is down before the claim is a 503',
    attempt: (once, call, work) =>
      once.attempt(call, work).catch(async (error: unknown) => {
        if (!isOncewardError(error, 'STORE_UNAVAILABLE')) throw error
        const id = operationId(call.scope ?? once.scope, String(call.key))
        return { outcome: 'executed', value: await work({ id } as Operation), id, expiresInMs: 1 } as const
      }),
  },
  'reruns what should be held': {
    caughtBy: 'a claim that lapses is held, and never run again',
    attempt: (once, call, work) => once.attempt({ ...call, onCrash: 'rerun' }, work),
  },
  'holds what may be rerun': {
    caughtBy: 'a claim that lapses is taken over where it may be rerun',
    attempt: (once, call, work) => once.attempt({ ...call, onCrash: 'hold' }, work),
  },
  'waits for a mute store for ever': {
    caughtBy: 'a store that never answers does not hang the client',
    attempt: (once, call, work) =>
      once.attempt(call, work).catch((error: unknown) => {
        if (isOncewardError(error, 'STORE_UNAVAILABLE')) return new Promise<never>(() => {})
        throw error
      }),
  },
  'takes a duplicate for a first run': {
    caughtBy: 'duplicates that waited get the replay',
    async attempt(once, call, work) {
      const reply = await once.attempt(call, work)
      return reply.outcome === 'replayed' ? { ...reply, outcome: 'executed' } : reply
    },
  },
}

describe('the HTTP suite rejects an engine that', () => {
  for (const [name, { caughtBy, attempt }] of Object.entries(MISTAKES)) {
    it(name, async () => {
      const broken = (once: Once): GuardedOnce => ({
        scope: once.scope,
        get: once.get,
        attempt: (call, work) => attempt(once, call, work),
      })
      const suite = httpConformance(startNode(undefined, broken), { patienceMs: 3000 })
      const caught = suite.filter((one) => one.name.startsWith(caughtBy))
      expect(caught, `one case starts with "${caughtBy}"`).toHaveLength(1)
      await expect(caught[0]?.run()).rejects.toThrow()
    })
  }
})
