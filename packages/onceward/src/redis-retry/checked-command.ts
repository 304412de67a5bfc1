import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import type { CommandEntry, CommandTable } from './command-table.ts'
import { wordsOf } from './command-words.ts'

/** A command that may be sent, and what is known of it. */
export interface CheckedCommand {
  readonly words: readonly RedisArgument[]
  /** In capitals, with its subcommand, for people. */
  readonly name: string
  /** Its row in the table; nothing for one that is not known. */
  readonly entry: CommandEntry | undefined
}

/** What to use instead of commands that are refused. */
const MENDS: Readonly<Record<string, string>> = {
  MULTI: 'Use atomic([[…], […]]).',
  EXEC: 'Use atomic([[…], […]]).',
  DISCARD: 'Use atomic([[…], […]]).',
  WATCH: 'Use atomic([[…], […]]), or a client of its own for WATCH.',
  SUBSCRIBE: 'Use the subscribe of the client, on a client of its own.',
  PSUBSCRIBE: 'Use the subscribe of the client, on a client of its own.',
  SSUBSCRIBE: 'Use the subscribe of the client, on a client of its own.',
  UNSUBSCRIBE: 'Use the unsubscribe of the client that has subscribed.',
  PUNSUBSCRIBE: 'Use the unsubscribe of the client that has subscribed.',
  SUNSUBSCRIBE: 'Use the unsubscribe of the client that has subscribed.',
  SELECT: 'Choose the database when the client is made.',
  HELLO: 'Choose the protocol when the client is made.',
  AUTH: 'Give the client the password when it is made.',
  QUIT: 'Call close() of the wrapper, then close the client.',
}

/**
 * Checks a command as it was given to the method `where`.
 *
 * @throws `TypeError` for words that cannot be sent, and for a command that changes what the connection is.
 */
export function checkedCommand(
  table: CommandTable,
  where: string,
  command: unknown,
  args: unknown,
): CheckedCommand {
  const words = wordsOf(where, command, args)
  const entry = table.find(words)
  const name = entry?.label ?? String(words[0]).toUpperCase()
  if (entry?.class !== 'connection') return { words, name, entry }
  throw new TypeError(
    `safeRedis does not send ${name}: it would change what the connection is, for all who use it, and be forgotten by a reconnection. ${MENDS[entry.name] ?? 'Use a client of its own for it.'}`,
  )
}
