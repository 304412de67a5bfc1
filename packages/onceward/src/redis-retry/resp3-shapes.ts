import { type DecodedReply, ErrorReply } from './reply-codec.ts'

/**
 * Gives the reply of a guarded command the shape it has in RESP 3, for clients that answer so: scores are numbers, pairs
 * are nested, streams are fields of an object. The script runs commands in RESP 2.
 *
 * @param note - That of the command's row in the table.
 * @param counted - Whether `ZPOPMIN` or `ZPOPMAX` was given a count.
 */
export function resp3Shape(note: string, reply: DecodedReply, counted: boolean): DecodedReply {
  if (reply === null || reply instanceof ErrorReply) return reply
  switch (note) {
    case 'score':
      return typeof reply === 'string' || reply instanceof Buffer ? score(reply) : reply
    case 'popped':
      return popped(reply as readonly DecodedReply[], counted)
    case 'ranked': {
      const [key, members] = reply as readonly [DecodedReply, readonly (readonly DecodedReply[])[]]
      return [key, members.map(([member, rank]) => [member as DecodedReply, score(rank)])]
    }
    case 'streams': {
      const streams: Record<string, DecodedReply> = Object.create(null)
      for (const [name, entries] of reply as readonly (readonly DecodedReply[])[])
        streams[String(name)] = entries as DecodedReply
      return streams as DecodedReply
    }
    default:
      return reply
  }
}

function popped(flat: readonly DecodedReply[], counted: boolean): DecodedReply {
  const pairs: DecodedReply[] = []
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([flat[at] as DecodedReply, score(flat[at + 1])])
  return counted ? pairs : (pairs[0] ?? [])
}

function score(reply: DecodedReply | undefined): DecodedReply {
  const text = String(reply)
  if (text === 'inf') return Infinity
  return text === '-inf' ? -Infinity : Number(text)
}
