import type { Clock, Random, Timers } from '../../core/clock.ts'
import type { RedisConnection, RedisReply, RedisScript } from '../../drivers/redis/index.ts'
import type { Bucket, KeyLayout } from './key-layout.ts'
import type { ScriptBatches } from './script-batches.ts'

/** What the parts of one store share. */
export interface StoreContext {
  readonly connection: RedisConnection
  readonly layout: KeyLayout
  readonly batches: ScriptBatches
  readonly index: RedisScript
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** What is asked of the index, with two numbers for all buckets and two for each. */
export interface IndexQuestion {
  readonly what: 'walk' | 'range' | 'lapsed' | 'expired' | 'stats'
  readonly for?: readonly [first: number, second?: number]
  readonly each?: (bucket: Bucket) => readonly [string | number, string | number]
}

/** What the index of one bucket answers. */
export interface IndexAnswer {
  readonly bucket: Bucket
  /** The server's clock, in ms since the epoch. */
  readonly now: number
  readonly entries: readonly RedisReply[]
}

/** Asks the index of buckets, in one call where keys of one call may lie in several slots. */
export async function readIndex(
  { connection, index }: StoreContext,
  buckets: readonly Bucket[],
  { what, for: [first = 0, second = 0] = [0], each = () => ['', ''] }: IndexQuestion,
): Promise<readonly IndexAnswer[]> {
  const ask = async (some: readonly Bucket[]): Promise<readonly IndexAnswer[]> => {
    const keys = some.flatMap(({ created, state }) => [created, state])
    const own = some.flatMap((bucket) => each(bucket).map(String))
    const reply = await connection.script(index, keys, [what, String(first), String(second), ...own])
    const [now, ...answers] = reply as readonly RedisReply[]
    return some.map((bucket, place) => ({
      bucket,
      now: Number(now),
      entries: answers[place] as readonly RedisReply[],
    }))
  }
  if (!connection.cluster) return buckets.length > 0 ? ask(buckets) : []
  return (await Promise.all(buckets.map((bucket) => ask([bucket])))).flat()
}

/** A reply as text. */
export function textOf(reply: RedisReply | undefined): string {
  return reply instanceof Buffer ? reply.toString() : String(reply ?? '')
}
