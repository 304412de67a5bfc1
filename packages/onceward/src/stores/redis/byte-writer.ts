/** Writes numbers and text, little-endian, into one buffer that grows. */
export interface ByteWriter {
  byte(value: number): void
  uint16(value: number): void
  uint32(value: number): void
  double(value: number): void
  /** Text without its length. */
  text(value: string): void
  /** Text of at most 65,535 bytes, after its length in two bytes. */
  shortPart(value: string): void
  /** Puts a number of four bytes where there is one already. */
  patch32(value: number, at: number): void
  /** Text or bytes, after their length in bytes. */
  part(value: string | Uint8Array): void
  /** As {@link part}, told apart from nothing at all: with one byte in front, or empty. */
  optional(value: string | Uint8Array | undefined): void
  /** Begins a part of unknown length; hand what it answers to `end`. */
  begin(): number
  end(begin: number): void
  /** What was written so far; it is not copied. */
  bytes(): Buffer
  readonly length: number
}

/** Text up to this length is looked at character by character, which is faster than asking the runtime. */
const SHORT = 64

/** Makes a writer with room for `size` bytes to begin with. */
export function byteWriter(size: number): ByteWriter {
  let buffer = Buffer.allocUnsafe(size)
  let at = 0

  const room = (bytes: number) => {
    if (at + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes))
    buffer.copy(larger, 0, 0, at)
    buffer = larger
  }
  const uint32At = (value: number, place: number) => {
    buffer[place] = value & 255
    buffer[place + 1] = (value >>> 8) & 255
    buffer[place + 2] = (value >>> 16) & 255
    buffer[place + 3] = value >>> 24
  }
  const uint32 = (value: number) => {
    room(4)
    uint32At(value, at)
    at += 4
  }
  const byte = (value: number) => {
    room(1)
    buffer[at++] = value
  }
  /** Writes text, and answers how many bytes it took. There is room for it. */
  const text = (value: string, place: number): number => {
    if (value.length <= SHORT) {
      let index = 0
      for (; index < value.length; index++) {
        const code = value.charCodeAt(index)
        if (code > 127) break
        buffer[place + index] = code
      }
      if (index === value.length) return index
    }
    return buffer.write(value, place)
  }
  const part = (value: string | Uint8Array) => {
    if (typeof value === 'string') {
      room(4 + value.length * 3)
      const length = text(value, at + 4)
      uint32At(length, at)
      at += 4 + length
    } else {
      room(4 + value.length)
      uint32At(value.length, at)
      buffer.set(value, at + 4)
      at += 4 + value.length
    }
  }
  const begin = () => {
    room(4)
    at += 4
    return at
  }
  const end = (start: number) => uint32At(at - start, start - 4)

  return {
    byte,
    uint32,
    uint16(value) {
      room(2)
      buffer[at] = value & 255
      buffer[at + 1] = value >>> 8
      at += 2
    },
    double(value) {
      room(8)
      at = buffer.writeDoubleLE(value, at)
    },
    patch32: uint32At,
    text(value) {
      room(value.length * 3)
      at += text(value, at)
    },
    shortPart(value) {
      room(2 + value.length * 3)
      const length = text(value, at + 2)
      buffer[at] = length & 255
      buffer[at + 1] = length >>> 8
      at += 2 + length
    },
    part,
    optional(value) {
      if (value === undefined) return uint32(0)
      const start = begin()
      byte(1)
      if (typeof value === 'string') {
        room(value.length * 3)
        at += text(value, at)
      } else {
        room(value.length)
        buffer.set(value, at)
        at += value.length
      }
      end(start)
    },
    begin,
    end,
    bytes: () => buffer.subarray(0, at),
    get length() {
      return at
    },
  }
}
