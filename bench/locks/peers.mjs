import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redlock as SesamecareRedlock } from '@sesamecare-oss/redlock'
import { Redis } from 'ioredis'
import { Mutex } from 'redis-semaphore'
import Redlock from 'redlock'
import { WAIT_MS } from './contestant.mjs'

/** @typedef {import('./contestant.mjs').LockContestant} LockContestant */

const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

/** How long the floor waits before it looks again, in ms: the default of redis-semaphore. */
const LOOK_AGAIN_MS = 10

/**
 * What a careful person writes by hand: SET NX with an owner and a time, and a script that deletes only its own. No fence, no
 * renewal, no order among those who wait.
 *
 * @type {LockContestant}
 */
export const byHand = {
  name: 'by hand: SET NX, ioredis',
  server: 'redis',
  kinds: ['pairs', 'waiters'],
  async open(url, ttlMs) {
    const redis = /** @type {any} */ (new Redis(url))
    redis.defineCommand('releaseOwn', { numberOfKeys: 1, lua: RELEASE })
    await redis.ping()
    return {
      mishaps: { lost: 0, failed: 0 },
      async acquire(key) {
        const owner = randomUUID()
        while ((await redis.set(`floor:${key}`, owner, 'PX', ttlMs, 'NX')) === null)
          await sleep(LOOK_AGAIN_MS)
        return { release: () => redis.releaseOwn(`floor:${key}`, owner) }
      },
      close: async () => void (await redis.quit()),
    }
  },
}

/**
 * redlock and its fork, with their own delay between attempts, which go on for as long as anybody waits here.
 *
 * @param {string} name
 * @param {(clients: Redis[], settings: { retryCount: number }) => any} create
 * @returns {LockContestant}
 */
function redlockOf(name, create) {
  return {
    name,
    server: 'redis',
    async open(url, ttlMs) {
      const redis = new Redis(url)
      await redis.ping()
      const mishaps = { lost: 0, failed: 0 }
      const redlock = create([redis], { retryCount: Math.ceil(WAIT_MS / 200) })
      redlock.on('error', (/** @type {Error} */ error) => {
        // It tells of every attempt that found the key held.
        if (error.name !== 'ResourceLockedError') mishaps.failed += 1
      })
      return {
        mishaps,
        async acquire(key) {
          const lock = await redlock.acquire([`redlock:${key}`], ttlMs)
          return { release: () => lock.release() }
        },
        keep: (key) =>
          new Promise((resolve, reject) => {
            const ended = redlock.using([`redlock:${key}`], ttlMs, (/** @type {AbortSignal} */ signal) => {
              signal.addEventListener('abort', () => {
                mishaps.lost += 1
              })
              return new Promise((end) => {
                resolve({
                  release() {
                    end(undefined)
                    return ended
                  },
                })
              })
            })
            ended.catch(reject)
          }),
        close: async () => void (await redis.quit()),
      }
    },
  }
}

/** redis-semaphore with its own interval between attempts, 10 ms. @type {LockContestant} */
const redisSemaphore = {
  name: 'redis-semaphore',
  server: 'redis',
  async open(url, lockTimeout) {
    const redis = new Redis(url)
    await redis.ping()
    const mishaps = { lost: 0, failed: 0 }
    const onLockLost = () => {
      mishaps.lost += 1
    }
    return {
      mishaps,
      async acquire(key) {
        const mutex = new Mutex(redis, key, { lockTimeout, acquireTimeout: WAIT_MS, onLockLost })
        await mutex.acquire()
        return { release: () => mutex.release() }
      },
      close: async () => void (await redis.quit()),
    }
  },
}

/** @type {readonly LockContestant[]} */
export const peers = [
  redlockOf('redlock', (clients, settings) => new Redlock(clients, settings)),
  redlockOf('@sesamecare-oss/redlock', (clients, settings) => new SesamecareRedlock(clients, settings)),
  redisSemaphore,
]

/** Locks nothing: the judge has to notice. @type {LockContestant} */
export const noLock = {
  name: 'no lock at all',
  server: 'redis',
  open: async () => ({
    mishaps: { lost: 0, failed: 0 },
    acquire: async () => ({ release: async () => {} }),
    close: async () => {},
  }),
}
