const CR = 13

/** Takes a stream of RESP 2 or 3 apart: each value on the outermost level is a frame, a request or a reply. */
export interface RespFrames {
  /** Adds bytes and answers the frames that are whole now. */
  push(bytes: Buffer): readonly Buffer[]
}

/** Begins with nothing. */
export function respFrames(): RespFrames {
  let rest: Buffer = Buffer.alloc(0)
  return {
    push(bytes) {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      const frames: Buffer[] = []
      for (let end = endOf(rest, 0); end >= 0; end = endOf(rest, 0)) {
        frames.push(rest.subarray(0, end))
        rest = rest.subarray(end)
        if (rest.length === 0) break
      }
      return frames
    },
  }
}

/** Where the value ends that begins at `from`; -1 while it is not all there. */
function endOf(bytes: Buffer, from: number): number {
  const line = bytes.indexOf(CR, from)
  if (line < 0 || line + 2 > bytes.length) return -1
  const type = String.fromCharCode(bytes[from] ?? 0)
  const start = line + 2
  if (!'$=!*~>%|'.includes(type)) return start
  const size = Number(bytes.toString('latin1', from + 1, line))
  if ('$=!'.includes(type)) {
    const end = size < 0 ? start : start + size + 2
    return end <= bytes.length ? end : -1
  }
  // Attributes stand before the value that they describe.
  const values = type === '%' ? 2 * size : type === '|' ? 2 * size + 1 : size
  let end = start
  for (let value = 0; value < values && end >= 0; value++) end = end < bytes.length ? endOf(bytes, end) : -1
  return end
}
