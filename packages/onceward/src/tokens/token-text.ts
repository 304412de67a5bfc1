import { hash } from 'node:crypto'
import type { Random } from '../core/clock.ts'

/** What a token looks like: 32 bytes as base64url. */
const TOKEN = /^[\w-]{43}$/

/** Draws a token of 256 bits. */
export function drawToken(random: Random): string {
  // Two nonces hold at least 256 random bits between them; the digest gives them the length of a token.
  return hash('sha256', `${random.nonce()}.${random.nonce()}`, 'base64url')
}

/**
 * The only form in which a token is stored, logged or compared; nothing for what cannot be a token.
 *
 * Its text is digested, not its bytes: a token has one spelling, though base64url would allow its last character four.
 */
export function digestOfToken(token: unknown): string | undefined {
  return typeof token === 'string' && TOKEN.test(token) ? hash('sha256', token, 'base64url') : undefined
}
