import type { Clock, Random } from './clock.ts'

/** Whether a text is a UUID as this library writes them: no other is ever asked for. */
export function isUuid(text: unknown): text is string {
  return (
    typeof text === 'string' && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text)
  )
}

/**
 * Makes ids (RFC 9562): `v7` begins with the time of this machine in ms, and within a process each is greater than the one
 * before; `v4` is random throughout.
 */
export function uuids(
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  version: 'v7' | 'v4',
): () => string {
  let latestMs = 0
  let count = 0
  const bytesOf = () => Buffer.from(random.nonce(), 'base64url')
  return () => {
    const bytes = Buffer.alloc(16)
    bytesOf().copy(bytes, 0, 0, 16)
    if (version === 'v7') {
      const nowMs = Math.floor(clock.now())
      // Twelve bits of a counter keep the order within one ms; what is beyond them borrows from the next.
      if (nowMs > latestMs) {
        latestMs = nowMs
        count = 0
      } else if (++count > 0xfff) {
        latestMs++
        count = 0
      }
      bytes.writeUIntBE(latestMs, 0, 6)
      bytes.writeUInt16BE(count, 6)
    }
    bytes[6] = ((bytes[6] as number) & 0x0f) | (version === 'v7' ? 0x70 : 0x40)
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
    const hex = bytes.toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
}
