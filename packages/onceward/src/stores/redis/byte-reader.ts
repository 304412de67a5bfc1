/** Reads what {@link byteWriter} or a script has packed. Every method throws a `RangeError` where bytes are missing. */
export interface ByteReader {
  byte(): number
  uint16(): number
  uint32(): number
  double(): number
  /** So many bytes, as a copy. */
  take(length: number): Uint8Array
  /** So many bytes as text. */
  text(length: number): string
  /** Whether all was read. */
  done(): boolean
  /** How many bytes are left. */
  left(): number
}

/** Reads `bytes` from `start` on. */
export function byteReader(bytes: Buffer, start = 0): ByteReader {
  let at = start
  const advance = (length: number): number => {
    const from = at
    at += length
    if (at > bytes.length) throw new RangeError('bytes are missing')
    return from
  }
  return {
    byte: () => bytes.readUInt8(advance(1)),
    uint16: () => bytes.readUInt16LE(advance(2)),
    uint32: () => bytes.readUInt32LE(advance(4)),
    double: () => bytes.readDoubleLE(advance(8)),
    take(length) {
      const from = advance(length)
      // What a client answers may be a view into a buffer that others read too.
      return new Uint8Array(bytes.subarray(from, from + length))
    },
    text(length) {
      const from = advance(length)
      return bytes.toString('utf8', from, from + length)
    },
    done: () => at >= bytes.length,
    left: () => bytes.length - at,
  }
}
