import type { RedisClient } from '../drivers/redis/index.ts'
import type { RedisClientKind } from '../drivers/redis/redis-link.ts'
import type { CheckedCommand } from './checked-command.ts'
import type { DecodedReply, ReplyForm } from './reply-codec.ts'
import { resp3Shape } from './resp3-shapes.ts'

/** Gives replies of the guarding script the shape in which the client answers the same commands. */
export interface ReplyShaper {
  /** How the client answers whole numbers. */
  readonly integers: ReplyForm['integers']
  /** Shapes the reply of one command. */
  shaped(reply: DecodedReply, command: CheckedCommand | undefined): DecodedReply
}

/**
 * Makes the shaper of a client.
 *
 * @param speaksResp3 - Whether its connection does, as far as that is known now.
 */
export function replyShaper(
  client: RedisClient,
  kind: RedisClientKind,
  speaksResp3: () => boolean,
): ReplyShaper {
  const { options } = client as { readonly options?: Readonly<Record<string, unknown>> }
  const ofNodes = (options?.['redisOptions'] ?? {}) as Readonly<Record<string, unknown>>
  const option = (name: string) => options?.[name] ?? ofNodes[name]
  const isIoRedis = kind === 'ioredis'
  const keepsShapes = !isIoRedis || option('replyMapping') === 'resp3'
  return {
    integers: isIoRedis && option('stringNumbers') === true ? 'text' : 'number',
    shaped(reply, command) {
      const note = command?.entry?.note ?? ''
      // ioredis makes an object of what HGETALL answers, whatever it speaks.
      const differs = (keepsShapes && speaksResp3()) || (note === 'map' && isIoRedis)
      return differs ? resp3Shape(note, reply, command?.words ?? []) : reply
    },
  }
}
