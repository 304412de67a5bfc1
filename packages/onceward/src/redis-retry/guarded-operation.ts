import type { Random } from '../core/clock.ts'
import { slotOf } from '../drivers/redis/key-slot.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import type { CheckedCommand } from './checked-command.ts'
import { commandRefused } from './command-errors.ts'
import { digestOf } from './command-words.ts'
import type { GuardedCommand, GuardedOperation } from './guard-context.ts'
import type { SlotTags } from './slot-tags.ts'

/** Where operations are remembered. */
export interface MarkerPlace {
  readonly prefix: string
  /** In a cluster the marker has to lie in the slot of the keys. */
  readonly tags: SlotTags | undefined
  readonly random: Random
}

/** So much of a nonce names an operation: 90 bits. After the default prefix that is a key of 30 bytes, which allocators hold in 32. */
const ID_LENGTH = 15

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
  const id = opId ?? random.nonce().slice(0, ID_LENGTH)
  const keys: RedisArgument[] = []
  const guarded: GuardedCommand[] = []
  let bytes = 0
  for (const { name, words, entry } of commands) {
    if (name.startsWith('BITFIELD')) refuseWideFields(name, words)
    for (const key of entry?.keysOf(words) ?? []) keys.push(key)
    for (const word of words) bytes += word.length + 16
    guarded.push({ words, exactly: EXACTLY[name] ?? '' })
  }
  const slot = tags === undefined ? 0 : slotFor(keys, id)
  const marker = tags === undefined ? `${prefix}:${id}` : `${prefix}:{${tags.tagOf(slot)}}:${id}`
  if (opId !== undefined && keys.some((key) => String(key) === marker)) {
    throw new TypeError(
      `${commands[0]?.name} writes the key under which it is remembered (${marker}); give the wrapper a prefix of its own`,
    )
  }
  keys.unshift(marker)
  return {
    name: atomic ? 'ATOMIC' : (commands[0]?.name ?? ''),
    commands: guarded,
    atomic,
    marker,
    keys,
    slot,
    bytes,
    digest: opId === undefined ? '' : digestOf(guarded, atomic),
    named: opId !== undefined,
  }
}

/** The slot of all keys; of the operation's name where there are none. */
function slotFor(keys: readonly RedisArgument[], id: string): number {
  const [slot, ...others] = new Set(keys.map(slotOf))
  if (others.length > 0) throw commandRefused("CROSSSLOT Keys in request don't hash to the same slot")
  return slot ?? slotOf(id)
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
