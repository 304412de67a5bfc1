import type { Clock, Random } from './clock.ts'

/** Makes a UUIDv7 (RFC 9562): ms since the epoch, then 74 random bits. Ids of one ms are in no order among themselves. */
export function uuidV7({ clock, random }: { readonly clock: Clock; readonly random: Random }): string {
  const bytes = Buffer.alloc(16)
  // A nonce has at least 128 bits; the place of the time and of the marks is written over.
  bytes.set(Buffer.from(random.nonce(), 'base64url').subarray(0, 16))
  bytes.writeUIntBE(Math.max(0, Math.floor(clock.now())), 0, 6)
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
