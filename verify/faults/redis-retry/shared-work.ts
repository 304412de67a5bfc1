import type { SafeRedis } from 'onceward/redis-retry'
import type { Prng } from '../../simulation/prng.ts'

/** Keys that all callers use at once. */
export interface SharedWork {
  begin(redis: SafeRedis): Promise<void>
  step(redis: SafeRedis, prng: Prng): Promise<string | undefined>
  compare(read: (...words: string[]) => Promise<unknown>): Promise<readonly string[]>
}

const COUNTERS = 8

/** Makes the work: counters, a list to take from and a list to add to. */
export function sharedWork(run: string, operations: number): SharedWork {
  const counter = (place: number) => `${run}:shared:${place}`
  const pool = `${run}:pool`
  const log = `${run}:log`
  const size = Math.ceil(operations / 2) + 1000
  const numbers = Array.from({ length: COUNTERS }, () => new Set<number>())
  const taken = new Set<string>()
  const places = new Map<number, string>()
  let logged = 0

  return {
    async begin(redis) {
      for (let from = 0; from < size; from += 500) {
        const elements = Array.from({ length: Math.min(500, size - from) }, (_, place) => `e${from + place}`)
        await redis.call('RPUSH', pool, ...elements)
      }
    },
    async step(redis, prng) {
      const kind = prng.int(4)
      if (kind < 2) {
        const place = prng.int(COUNTERS)
        const number = Number(await redis.call('INCR', counter(place)))
        const own = numbers[place]
        if (own === undefined || own.has(number))
          return `two INCRs of ${counter(place)} were answered ${number}`
        own.add(number)
        return undefined
      }
      if (kind === 2) {
        const element = String(await redis.call('LPOP', pool))
        if (taken.has(element)) return `LPOP handed out ${element} twice`
        taken.add(element)
        return undefined
      }
      const entry = `entry ${logged++}`
      const place = Number(await redis.call('RPUSH', log, entry))
      if (places.has(place)) return `two RPUSHes were answered ${place}`
      places.set(place, entry)
      return undefined
    },
    async compare(read) {
      const wrong: string[] = []
      for (const [place, own] of numbers.entries()) {
        const held = Number(await read('GET', counter(place)))
        // As many different replies as the counter says, and none beyond it: each number was told once.
        if (held !== own.size || Math.max(0, ...own) !== held)
          wrong.push(
            `${counter(place)} is ${held}, and ${own.size} INCRs were acknowledged up to ${Math.max(0, ...own)}`,
          )
      }
      const left = Number(await read('LLEN', pool))
      if (left + taken.size !== size || taken.has('null'))
        wrong.push(`${size} elements: ${taken.size} were handed out, ${left} are left`)
      const held = (await read('LRANGE', log, '0', '-1')) as readonly unknown[]
      const astray = held.filter((entry, place) => places.get(place + 1) !== String(entry)).length
      if (held.length !== places.size || astray > 0)
        wrong.push(
          `the log holds ${held.length} entries, ${places.size} were acknowledged, ${astray} not at their place`,
        )
      return wrong
    },
  }
}
