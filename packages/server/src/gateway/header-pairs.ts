import type { HeaderPairs } from 'onceward/http'
import { latin1, NOT_FORWARDED, namedByConnection } from './forwarded-headers.ts'

/** Raw headers (name and value in turn) as pairs. */
export function pairsOf(raw: readonly (Buffer | string)[]): HeaderPairs {
  const pairs: (readonly [string, string])[] = []
  for (let index = 0; index < raw.length; index += 2)
    pairs.push([latin1(raw[index] ?? ''), latin1(raw[index + 1] ?? '')])
  return pairs
}

/** Pairs as raw headers. */
export function flat(pairs: HeaderPairs): string[] {
  return pairs.flat()
}

/** Drops the fields of one connection, those that `Connection` names among them. */
export function withoutHopByHop(pairs: HeaderPairs): HeaderPairs {
  const named = new Set<string>()
  for (const [name, value] of pairs) {
    if (name.toLowerCase() === 'connection')
      for (const token of namedByConnection(value) ?? []) named.add(token)
  }
  return pairs.filter(([name]) => !NOT_FORWARDED.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
}
