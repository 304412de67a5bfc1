import { OncewardError } from '../core/errors.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import { commandRefused } from './command-errors.ts'
import { type CommandEntry, waitsMs } from './command-table.ts'
import { type DecodedReply, ErrorReply } from './reply-codec.ts'
import type { RedisValue } from './retry-types.ts'

/** A command as it is dealt with. */
export interface Line {
  readonly words: readonly RedisArgument[]
  readonly name: string
  readonly entry: CommandEntry | undefined
}

/** The most words that several commands may have altogether: while they are executed the server does nothing else. */
const MOST_WORDS = 30_000

/** Refuses what cannot be executed together. @throws `TypeError` that names the command. */
export function assertAtomic(lines: readonly Line[]): void {
  let count = 0
  for (const { name, entry, words } of lines) {
    count += words.length
    if (
      entry === undefined ||
      entry.class === 'once' ||
      entry.note === 'alone' ||
      waitsMs(entry, words) !== undefined
    ) {
      throw new TypeError(
        `atomic cannot execute ${name}: it waits, runs code, is not known, or is not allowed in scripts`,
      )
    }
  }
  if (count > MOST_WORDS) {
    throw new TypeError(
      `atomic takes commands of at most ${MOST_WORDS} words altogether, not ${count}; split them`,
    )
  }
}

/**
 * The replies of commands that were executed together.
 *
 * @throws `COMMAND_REFUSED` if one is an error, with all replies as `value`: effect done, or none if all are errors.
 */
export function atomicReplies(
  lines: readonly Line[],
  replies: readonly DecodedReply[],
): readonly RedisValue[] {
  const wrong = replies.findIndex((reply) => reply instanceof ErrorReply)
  if (wrong < 0) return replies as readonly RedisValue[]
  const { text } = replies[wrong] as ErrorReply
  const value = replies.map((reply) => (reply instanceof ErrorReply ? commandRefused(reply.text) : reply))
  const none = replies.every((reply) => reply instanceof ErrorReply)
  throw new OncewardError(
    'COMMAND_REFUSED',
    `command ${wrong + 1} of ${lines.length} (${lines[wrong]?.name}) was answered "${text}"; ${none ? 'none' : 'those without an error'} took effect`,
    { effect: none ? 'none' : 'done', value },
  )
}
