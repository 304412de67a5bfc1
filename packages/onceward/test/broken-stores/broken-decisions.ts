import { transitionMethods } from '../../src/core/transition-port.ts'
import * as transitions from '../../src/core/transitions.ts'
import { type Flaw, torn } from './broken-rig.ts'

/** Flaws in who may ask and decide, in waiting, and in the end of a store. */
export const brokenDecisions: readonly Flaw[] = [
  {
    name: 'resolve without a look at the fence',
    rule: /resolve under another fence, or of what is not held, is a conflict/,
    model: true,
    break: ({ sound, records }) => ({
      resolve: (id, resolution) =>
        sound.resolve(id, { ...resolution, fence: records.get(id.digest)?.fence ?? 0 }),
    }),
  },
  {
    name: 'resolve of what is still running',
    rule: /resolve under another fence, or of what is not held, is a conflict/,
    model: true,
    break: ({ atomically }) => ({
      resolve: (id, resolution) =>
        atomically(id.digest, (found, now) =>
          transitions.resolve(
            found?.state === 'running' ? { ...found, state: 'held' } : found,
            resolution,
            now,
          ),
        ),
    }),
  },
  {
    name: 'resolve that reads and then writes',
    rule: /of many concurrent resolves one decides/,
    break: (parts) => ({ resolve: transitionMethods(torn(parts)).resolve }),
  },
  {
    name: 'resolve without a reason',
    rule: /a resolve needs an actor and a reason/,
    break: ({ atomically }) => ({
      resolve: (id, resolution) =>
        atomically(id.digest, (found, now) => transitions.resolve(found, resolution, now)),
    }),
  },
  {
    name: 'the late owner of a decided operation is still its owner',
    rule: /an owner whose operation was held and resolved as/,
    model: true,
    break: ({ atomically }) => ({
      resolve: (id, resolution) =>
        atomically(id.digest, (found, now) => {
          const { write, ...rest } = transitions.resolve(found, resolution, now)
          if (!write) return rest
          return {
            ...rest,
            write: { ...write, ...(found?.owner === undefined ? {} : { owner: found.owner }) },
          }
        }),
    }),
  },
  {
    name: 'the turn to ask is not exclusive',
    rule: /of many concurrent askers one gets the turn/,
    break: (parts) => ({ takeTurn: transitionMethods(torn(parts)).takeTurn }),
  },
  {
    name: 'the quiet time is not honoured',
    rule: /after a turn nobody asks until the quiet time is over/,
    model: true,
    break: ({ atomically }) => ({
      takeTurn: (id, turn) =>
        atomically(id.digest, (found) => transitions.takeTurn(found, turn, Number.MAX_SAFE_INTEGER)),
    }),
  },
  {
    name: 'watch that begins to listen a moment later',
    rule: /watch wakes every watcher on complete/,
    break: ({ sound }) => ({
      async watch(id, signal) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        await sound.watch?.(id, signal)
      },
    }),
  },
  {
    name: 'watch that rejects on abort',
    rule: /watch resolves on abort/,
    break: ({ sound }) => ({
      async watch(id, signal) {
        await sound.watch?.(id, signal)
        signal.throwIfAborted()
      },
    }),
  },
  {
    name: 'a closed store that throws whatever its driver throws',
    rule: /after close nothing hangs/,
    break: ({ sound }) => {
      let closed = false
      return {
        async get(id) {
          if (closed) throw new Error('database is not open')
          return sound.get(id)
        },
        async close() {
          closed = true
          await sound.close()
        },
      }
    },
  },
  {
    name: 'a closed store that lets its watchers wait',
    rule: /after close nothing hangs/,
    break: () => ({ close: async () => {} }),
  },
]
