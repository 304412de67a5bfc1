/** Reads a stream of bytes, at most `maxBytes`; beyond, it answers what it has read and what is still to come. */
export async function readUpTo(
  stream: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<{ readonly kind: 'whole'; readonly bytes: Uint8Array } | TooMuch> {
  if (stream === null) return { kind: 'whole', bytes: new Uint8Array() }
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return { kind: 'whole', bytes: Buffer.concat(chunks, size) }
    // A copy: its owner may use the memory again.
    chunks.push(Buffer.from(value))
    size += value.byteLength
    if (size > maxBytes) return { kind: 'too-much', chunks, reader }
  }
}

/** A body that is longer than was asked for. */
export interface TooMuch {
  readonly kind: 'too-much'
  /** What has been read. */
  readonly chunks: readonly Uint8Array[]
  /** Where the rest comes from. */
  readonly reader: ReadableStreamDefaultReader<Uint8Array>
}

/** The stream that a {@link TooMuch} was read from, whole again. */
export function resume({ chunks, reader }: TooMuch): ReadableStream<Uint8Array> {
  const pending = [...chunks]
  return new ReadableStream({
    async pull(controller) {
      const next = pending.shift() ?? (await reader.read().then(({ value }) => value))
      if (next === undefined) controller.close()
      else controller.enqueue(next)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
