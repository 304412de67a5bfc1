import { createHash } from 'node:crypto'
import type { PlaceGrant } from '../lock-backend.ts'
import type { Turn } from '../lock-transitions.ts'

/** A grant that somebody has told of. */
interface ToldGrant extends PlaceGrant {
  /** Takes the token to make. */
  readonly proof: string
}

/** A turn that somebody has told of. */
export interface ToldTurn {
  readonly name: string
  readonly granted?: ToldGrant
}

/** What a waiter is told by. Everybody in the database may listen, and a token is the right to release. */
export function nameOf(token: string): string {
  return digest(token)
}

/**
 * A turn as it is told of. Everybody in the database may notify, but nobody without the token can make up a grant. What has
 * a mark, which may be long, is told of as a turn only.
 */
export function toldTurn({ token, granted }: Turn): ToldTurn {
  const name = nameOf(token)
  if (!granted || granted.mark !== undefined) return { name }
  const { round, fence } = granted
  return { name, granted: { round, fence, proof: proofOf(token, granted) } }
}

/** A turn as a word: `name`, or `name:round:fence:proof` where a place has become the grant. */
export function writeTurn({ name, granted }: ToldTurn): string {
  return granted ? [name, granted.round, granted.fence, granted.proof].join(':') : name
}

/** Reads what {@link writeTurn} writes. */
export function readTurn(word: string): ToldTurn {
  const [name = '', round, fence, proof] = word.split(':')
  if (proof === undefined) return { name }
  return { name, granted: { round: Number(round), fence: Number(fence), proof } }
}

/** The grant, if who told of it knows the token. */
export function proven(token: string, granted: PlaceGrant | undefined): PlaceGrant | undefined {
  if (!granted || (granted as ToldGrant).proof !== proofOf(token, granted)) return undefined
  const { round, fence } = granted
  return { round, fence }
}

function proofOf(token: string, { round, fence }: PlaceGrant): string {
  return digest(`${token} ${round} ${fence}`)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 24)
}
