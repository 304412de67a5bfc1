/** The number of hash slots of a Redis Cluster. */
export const SLOTS = 16_384

/**
 * The hash slot of a key, as Redis Cluster computes it: CRC-16/XMODEM of the hash tag (what is between the first `{`
 * and the next `}`, unless empty), else of the whole key.
 */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return crc16(Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) % SLOTS
}

function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}
