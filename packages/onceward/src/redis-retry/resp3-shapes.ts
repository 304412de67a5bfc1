import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import { type DecodedReply, ErrorReply } from './reply-codec.ts'

type List = readonly DecodedReply[]

/**
 * Gives the reply of a guarded command the shape it has in RESP 3, for clients that answer so: scores are numbers, pairs
 * are nested, maps are objects. The script runs commands in RESP 2, where a nothing within a list is not lost.
 *
 * @param note - That of the command's row in the table.
 */
export function resp3Shape(note: string, reply: DecodedReply, words: readonly RedisArgument[]): DecodedReply {
  if (reply === null || reply instanceof ErrorReply || note === '') return reply
  switch (note) {
    case 'score':
      return typeof reply === 'string' || Buffer.isBuffer(reply) ? score(reply) : reply
    case 'scores':
      return (reply as List).map((one) => (one === null ? null : score(one)))
    case 'popped': {
      const pairs = pairsOf(reply as List, score)
      return words.length > 2 ? pairs : (pairs[0] ?? [])
    }
    case 'ranked':
      return asksFor(words, 'WITHSCORES') ? pairsOf(reply as List, score) : reply
    case 'pairs':
      return asksFor(words, 'WITHVALUES') ? pairsOf(reply as List, (value) => value) : reply
    case 'from': {
      const [key, members] = reply as readonly [DecodedReply, readonly List[]]
      return [key, members.map(([member = null, rank = null]) => [member, score(rank)])]
    }
    case 'map':
      return objectOf(pairsOf(reply as List, (value) => value))
    case 'streams':
      return objectOf(reply as readonly List[])
    case 'positions':
      return (reply as List).map((place) => (Array.isArray(place) ? (place as List).map(score) : place))
    case 'places':
      return Array.isArray(reply) ? (reply as List).map(placeOf) : reply
    default:
      return reply
  }
}

/** A member that was found, with its coordinates as numbers where they were asked for. */
function placeOf(found: DecodedReply): DecodedReply {
  if (!Array.isArray(found)) return found
  return (found as List).map((part) => (Array.isArray(part) ? (part as List).map(score) : part))
}

function pairsOf(flat: List, second: (value: DecodedReply) => DecodedReply): readonly List[] {
  const pairs: List[] = []
  for (let at = 0; at + 1 < flat.length; at += 2)
    pairs.push([flat[at] as DecodedReply, second(flat[at + 1] as DecodedReply)])
  return pairs
}

/** As the clients make it: without a prototype, so that any name is just a field. */
function objectOf(pairs: readonly List[]): DecodedReply {
  const fields: Record<string, DecodedReply> = Object.create(null)
  for (const [name, value] of pairs) fields[String(name)] = value as DecodedReply
  return fields as DecodedReply
}

function asksFor(words: readonly RedisArgument[], option: string): boolean {
  return words.some((word) => String(word).toUpperCase() === option)
}

function score(reply: DecodedReply): DecodedReply {
  const text = String(reply)
  if (text === 'inf') return Infinity
  return text === '-inf' ? -Infinity : Number(text)
}
