import type { Shard } from './shard.ts'

/** Where the next page of each shard begins, `null` for its newest record. A shard that has been read to its end is not in it. */
export type Positions = ReadonlyMap<string, string | null>

/** Writes positions as an opaque cursor. */
export function writePositions(positions: Positions): string {
  return Buffer.from(JSON.stringify([...positions])).toString('base64url')
}

/** Reads a cursor; that of a shard is for the shard to check. @throws `TypeError` for one that no page has handed out. */
export function parsePositions(cursor: string, shards: readonly Shard[]): Positions {
  const positions = new Map<string, string | null>()
  for (const entry of listIn(cursor)) {
    const [name, from] = Array.isArray(entry) && entry.length === 2 ? (entry as readonly unknown[]) : []
    const isPosition = from === null || typeof from === 'string'
    if (typeof name !== 'string' || !isPosition || positions.has(name) || !isShard(name, shards))
      throw unknownCursor()
    positions.set(name, from)
  }
  if (positions.size === 0) throw unknownCursor()
  return positions
}

function listIn(cursor: string): readonly unknown[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    throw unknownCursor()
  }
  if (!Array.isArray(parsed)) throw unknownCursor()
  return parsed
}

function isShard(name: string, shards: readonly Shard[]): boolean {
  return shards.some((one) => one.name === name)
}

function unknownCursor(): TypeError {
  return new TypeError('the cursor is not one that a page of these shards has handed out; start without one')
}
