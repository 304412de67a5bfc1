import { OncewardError } from '../core/errors.ts'
import type { CheckedCommand } from './checked-command.ts'
import { commandRefused } from './command-errors.ts'
import { waitsMs } from './command-table.ts'
import { type DecodedReply, ErrorReply } from './reply-codec.ts'
import type { RedisValue } from './retry-types.ts'

/** The most words that several commands may have altogether: while they are executed the server does nothing else. */
const MOST_WORDS = 30_000

/** Refuses what cannot be executed together. @throws `TypeError` that names the command. */
export function assertAtomic(commands: readonly CheckedCommand[]): void {
  let count = 0
  for (const { name, entry, words } of commands) {
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
  commands: readonly CheckedCommand[],
  replies: readonly DecodedReply[],
): readonly RedisValue[] {
  const wrong = replies.findIndex((reply) => reply instanceof ErrorReply)
  if (wrong < 0) return replies as readonly RedisValue[]
  const { text } = replies[wrong] as ErrorReply
  const value = replies.map((reply) => (reply instanceof ErrorReply ? commandRefused(reply.text) : reply))
  const none = replies.every((reply) => reply instanceof ErrorReply)
  throw new OncewardError(
    'COMMAND_REFUSED',
    `command ${wrong + 1} of ${commands.length} (${commands[wrong]?.name}) was answered "${text}"; ${none ? 'none' : 'those without an error'} took effect`,
    { effect: none ? 'none' : 'done', value },
  )
}
