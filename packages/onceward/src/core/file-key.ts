import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'

/** Content to be digested: bytes, a Blob or File, or a stream of bytes (a Node or Web stream, an HTTP request…). */
export type FileSource = Uint8Array | Blob | AsyncIterable<Uint8Array>

/** Options of {@link fileKey}. */
export interface FileKeyOptions {
  /** What the key begins with. Default `f1_`. */
  readonly prefix?: string
  /** Stops reading; `fileKey` then rejects with its reason. */
  readonly signal?: AbortSignal
}

/**
 * Derives a key from content: the same bytes give the same key, however they are cut into chunks and whatever the file
 * is called. The content is read once and not kept: memory stays constant.
 *
 * A stream is used up by it. Where reading ends early (abort, error) the stream is told to close.
 *
 * @returns The prefix and the SHA-256 of the content, base64url (43 characters).
 * @throws `TypeError` for a stream of text: its bytes are no longer what they were; and for one that was used up before:
 * all of those would look alike. Errors of the stream pass through.
 * @example
 * const key = await fileKey(createReadStream('statement.pdf'), { prefix: 'statement_' })
 */
export async function fileKey(source: FileSource, options: FileKeyOptions = {}): Promise<string> {
  const { prefix = 'f1_', signal } = options
  signal?.throwIfAborted()
  const hash = createHash('sha256')
  if (source instanceof Uint8Array) {
    hash.update(source)
  } else {
    let isUsedUp = Readable.isDisturbed(source as Readable)
    const chunks = openSource(source instanceof Blob ? source.stream() : source)
    for await (const chunk of abortable(chunks, signal)) {
      if (!(chunk instanceof Uint8Array)) {
        throw new TypeError(`the stream gave a ${typeof chunk}; it must give bytes (set no encoding on it)`)
      }
      hash.update(chunk)
      isUsedUp = false
    }
    if (isUsedUp) throw new TypeError('the stream was read before and nothing is left of it; open it again')
  }
  return prefix + hash.digest('base64url')
}

/** A source that can be told to close while it is being waited for. */
interface OpenSource {
  next(): Promise<IteratorResult<unknown>>
  close(): unknown
}

function openSource(source: unknown): OpenSource {
  const { getReader, destroy, [Symbol.asyncIterator]: iterate } = Object(source) as ReadableParts
  if (getReader !== undefined) {
    const reader = getReader.call(source)
    return { next: () => reader.read(), close: () => reader.cancel() }
  }
  if (iterate === undefined) {
    throw new TypeError('the source of a file key must be bytes, a Blob or a stream of bytes')
  }
  const iterator = iterate.call(source)
  // The `return` of a silent Node stream waits for its next chunk; `destroy` does not.
  return { next: () => iterator.next(), close: () => (destroy ? destroy.call(source) : iterator.return?.()) }
}

/** What streams are known by. */
interface ReadableParts {
  getReader?(): { read(): Promise<IteratorResult<unknown>>; cancel(): Promise<unknown> }
  destroy?(): unknown
  [Symbol.asyncIterator]?(): AsyncIterator<unknown>
}

/** Iterates until the signal aborts, even while the source is silent. */
async function* abortable(source: OpenSource, signal: AbortSignal | undefined): AsyncGenerator<unknown> {
  // One listener and no promise that outlives its chunk: racing a long-lived promise would gather memory.
  let stop: ((reason: unknown) => void) | undefined
  const abort = () => stop?.(signal?.reason)
  signal?.addEventListener('abort', abort)
  let ended = false
  try {
    for (;;) {
      const next = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
        stop = reject
        if (signal?.aborted) reject(signal.reason)
        else source.next().then(resolve, reject)
      })
      if (next.done) {
        ended = true
        return
      }
      yield next.value
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    // Not awaited: a source may answer to this only when it has something to say.
    if (!ended) Promise.resolve(source.close()).catch(() => {})
  }
}
