import { createHash } from 'node:crypto'
import { written } from '../core/known-fields.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import { DIGEST_BYTES } from './guard-lua.ts'

/** Lua hands at most about 8,000 words on. */
const MOST_WORDS = 7000

/**
 * Checks the words of a command, and makes what is sent of them. Bytes are copied: what is sent again is what was given.
 *
 * @throws `TypeError` that names the word: for what is neither text, bytes, a finite number nor a bigint.
 */
export function wordsOf(where: string, command: unknown, args: unknown): readonly RedisArgument[] {
  if (typeof command !== 'string' || !/^[!-~]{1,64}$/.test(command)) {
    throw new TypeError(`${where} needs the name of a command, such as "INCR", not ${written(command)}`)
  }
  if (!Array.isArray(args)) {
    throw new TypeError(`${where} needs the arguments of ${command} as a list, not ${written(args)}`)
  }
  if (args.length >= MOST_WORDS) {
    throw new TypeError(
      `${where} takes at most ${MOST_WORDS - 1} arguments, not ${args.length}; split ${command}`,
    )
  }
  const words: RedisArgument[] = [command]
  for (const arg of args as readonly unknown[]) words.push(typeof arg === 'string' ? arg : wordOf(words, arg))
  return words
}

function wordOf(before: readonly RedisArgument[], arg: unknown): RedisArgument {
  if (arg instanceof Uint8Array) return Buffer.from(arg)
  if (typeof arg === 'bigint' || (typeof arg === 'number' && Number.isFinite(arg))) return String(arg)
  throw new TypeError(
    `argument ${before.length} of ${String(before[0])} must be text, bytes, a finite number or a bigint, not ${written(arg)}`,
  )
}

/** Checks the name of an operation. @throws `TypeError` naming what it must be. */
export function checkedOpId(opId: unknown): string | undefined {
  if (opId === undefined) return undefined
  if (typeof opId === 'string' && opId !== '' && opId.isWellFormed() && Buffer.byteLength(opId) <= 200)
    return opId
  throw new TypeError(`opId must be a text of 1 to 200 bytes, well-formed in UTF-16, not ${written(opId)}`)
}

/** A digest of commands, 96 bits as text: other words have another one. The name of a command counts in capitals. */
export function digestOf(
  commands: readonly { readonly words: readonly RedisArgument[] }[],
  atomic: boolean,
): string {
  const hash = createHash('sha256')
  // Whose reply is a list is another operation than the one command in it.
  if (atomic) hash.update('atomic;')
  for (const { words } of commands) {
    hash.update(`*${words.length};`)
    for (const [place, word] of words.entries()) {
      const bytes = typeof word === 'string' ? Buffer.from(place === 0 ? word.toUpperCase() : word) : word
      hash.update(`${bytes.length}:`).update(bytes)
    }
  }
  return hash.digest('base64url').slice(0, DIGEST_BYTES)
}
