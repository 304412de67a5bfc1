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

/** Asks the index script about one bucket. */
export async function readIndex(
  { connection, index }: StoreContext,
  { created, state }: Bucket,
  ...args: (string | number)[]
): Promise<readonly RedisReply[]> {
  const reply = await connection.script(index, [created, state], args.map(String))
  return Array.isArray(reply) ? reply : []
}

/** A reply as text. */
export function textOf(reply: RedisReply | undefined): string {
  return reply instanceof Buffer ? reply.toString() : String(reply ?? '')
}
