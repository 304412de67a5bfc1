/** The number of hash slots of a Redis Cluster. */
export const SLOTS = 16_384

/**
 * The hash slot of a key, as Redis Cluster computes it: CRC-16/XMODEM of the hash tag (what is between the first `{`
 * and the next `}`, unless empty), else of the whole key.
 */
export function slotOf(key: string | Uint8Array): number {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key
  const open = bytes.indexOf(OPEN)
  const close = open < 0 ? -1 : bytes.indexOf(CLOSE, open + 1)
  return crc16(close > open + 1 ? bytes.subarray(open + 1, close) : bytes) % SLOTS
}

const OPEN = 0x7b
const CLOSE = 0x7d

function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}
