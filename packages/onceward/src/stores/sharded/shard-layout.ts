import { hash } from 'node:crypto'
import type { Shard } from './shard.ts'

/** Where operations live. */
export interface ShardLayout {
  /** Every shard, those of no layout of ours too. */
  readonly shards: readonly Shard[]
  /** Whether other layouts than our own are to be looked at. */
  readonly isMoving: boolean
  /** The shard on which a new operation is made. */
  homeOf(digest: string): Shard
  /** Every shard on which some process may make or may have made it, the own home first. */
  homesOf(digest: string): readonly [Shard, ...Shard[]]
}

/**
 * Rendezvous hashing: each shard draws a number for the digest, SHA-256 of its name and the digest, and the greatest
 * wins. Every process comes to the same answer without asking anybody, and a shard that joins or leaves moves only the
 * operations that it wins or had won: one in n of them.
 *
 * The digest ends the hashed text and has a fixed length, so no two pairs of name and digest make the same text.
 *
 * @throws `TypeError` for a layout that names no shard, one twice, or one that is not there.
 */
export function shardLayout(
  shards: readonly Shard[],
  own: readonly string[] | undefined,
  others: readonly (readonly string[])[],
): ShardLayout {
  const preferred = own === undefined ? shards : membersOf(shards, own, 'layout')
  const alternatives = others.map((names, at) => membersOf(shards, names, `otherLayouts[${at}]`))
  return {
    shards,
    isMoving: alternatives.length > 0,
    homeOf: (digest) => winner(preferred, digest),
    homesOf(digest) {
      const home = winner(preferred, digest)
      if (alternatives.length === 0) return [home]
      const homes = new Set(alternatives.map((members) => winner(members, digest)))
      homes.delete(home)
      return [home, ...homes]
    },
  }
}

function winner(members: readonly Shard[], digest: string): Shard {
  let best: Shard | undefined
  let greatest = ''
  for (const member of members) {
    const drawn = hash('sha256', `${member.name}/${digest}`, 'hex')
    if (drawn > greatest) {
      best = member
      greatest = drawn
    }
  }
  if (best === undefined) throw new TypeError('a layout needs at least one shard')
  return best
}

function membersOf(shards: readonly Shard[], names: readonly string[], where: string): readonly Shard[] {
  if (!Array.isArray(names) || names.length === 0)
    throw new TypeError(`${where} must be a list of at least one name of a shard`)
  if (new Set(names).size < names.length) throw new TypeError(`${where} names a shard twice`)
  return names.map((name: string) => {
    const found = shards.find((one) => one.name === name)
    if (found) return found
    const known = shards.map((one) => one.name).join(', ')
    throw new TypeError(`${where} names "${String(name)}", which is none of the shards: ${known}`)
  })
}
