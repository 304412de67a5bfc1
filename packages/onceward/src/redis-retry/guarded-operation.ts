import type { Random } from '../core/clock.ts'
import { slotOf } from '../drivers/redis/key-slot.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import type { CheckedCommand } from './checked-command.ts'
import { commandRefused } from './command-errors.ts'
import { digestOf } from './command-words.ts'
import type { GuardedCommand, GuardedOperation } from './guard-context.ts'
import { DIGEST_BYTES } from './guard-lua.ts'
import type { SlotTags } from './slot-tags.ts'

/** Where operations are remembered. */
export interface MarkerPlace {
  readonly prefix: string
  /** In a cluster the marker has to lie in the slot of the keys. */
  readonly tags: SlotTags | undefined
  readonly random: Random
}

/** What an operation that nobody else can name is compared by: nothing. */
const NO_DIGEST = '-'.repeat(DIGEST_BYTES)

const EXACTLY: Readonly<Record<string, GuardedCommand['exactly']>> = {
  INCR: 'i',
  DECR: 'i',
  INCRBY: 'i',
  DECRBY: 'i',
  HINCRBY: 'h',
}

/**
 * Makes an operation of commands.
 *
 * @throws `COMMAND_REFUSED` (effect none) for keys in several hash slots of a cluster, as the server would; `TypeError`
 * for a `BITFIELD` whose numbers a script cannot hand on exactly.
 */
export function guardedOperation(
  { prefix, tags, random }: MarkerPlace,
  commands: readonly CheckedCommand[],
  atomic: boolean,
  opId: string | undefined,
): GuardedOperation {
  const keys = commands.flatMap(({ entry, words }) => entry?.keysOf(words) ?? [])
  const id = opId ?? random.nonce()
  for (const { name, words } of commands) if (name.startsWith('BITFIELD')) refuseWideFields(name, words)
  const slot = tags === undefined ? 0 : slotFor(keys, id)
  const marker = tags === undefined ? `${prefix}:${id}` : `${prefix}:{${tags.tagOf(slot)}}:${id}`
  if (opId !== undefined && keys.some((key) => String(key) === marker)) {
    throw new TypeError(
      `${commands[0]?.name} writes the key under which it is remembered (${marker}); give the wrapper a prefix of its own`,
    )
  }
  return {
    name: atomic ? 'ATOMIC' : (commands[0]?.name ?? ''),
    commands: commands.map(({ name, words }) => ({ words, exactly: EXACTLY[name] ?? '' })),
    atomic,
    marker,
    keys: [marker, ...keys],
    slot,
    bytes: sizeOf(commands),
    digest:
      opId === undefined
        ? NO_DIGEST
        : digestOf(
            commands.map(({ words }) => words),
            atomic,
          ),
    named: opId !== undefined,
  }
}

/** The slot of all keys; of the operation's name where there are none. */
function slotFor(keys: readonly RedisArgument[], id: string): number {
  const [slot, ...others] = new Set(keys.map(slotOf))
  if (others.length > 0) throw commandRefused("CROSSSLOT Keys in request don't hash to the same slot")
  return slot ?? slotOf(id)
}

function sizeOf(commands: readonly CheckedCommand[]): number {
  let bytes = 0
  for (const { words } of commands) for (const word of words) bytes += word.length + 16
  return bytes
}

/** Scripts count in doubles: a field may be as wide as those are exact. */
function refuseWideFields(name: string, words: readonly RedisArgument[]): void {
  for (const word of words.slice(2)) {
    const [, sign, bits] = /^([iu])(\d{1,3})$/i.exec(String(word)) ?? []
    if (bits === undefined || Number(bits) <= (sign?.toLowerCase() === 'u' ? 53 : 54)) continue
    throw new TypeError(
      `${name} cannot be guarded with fields as wide as ${String(word)}: numbers beyond 2^53 would be rounded. Use fields of at most 53 bits`,
    )
  }
}
