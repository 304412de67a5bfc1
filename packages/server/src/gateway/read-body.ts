import type { IncomingMessage } from 'node:http'

/** What became of reading a body. */
export type ReadBody =
  | { readonly kind: 'body'; readonly body: Buffer }
  /** It is larger than the cap; the rest was not read. */
  | { readonly kind: 'too-large' }
  /** The client went, or sent something that is no body, before its end. */
  | { readonly kind: 'gone' }

/** Reads the whole body, at most `maxBytes`. Never rejects. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<ReadBody> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve({ kind: 'too-large' })
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (result: ReadBody): void => {
      request.off('data', take)
      request.pause()
      resolve(result)
    }
    const take = (chunk: Buffer): void => {
      size += chunk.byteLength
      if (size > maxBytes) settle({ kind: 'too-large' })
      else chunks.push(chunk)
    }
    request.on('data', take)
    request.once('end', () => resolve({ kind: 'body', body: Buffer.concat(chunks) }))
    request.once('error', () => settle({ kind: 'gone' }))
    request.once('close', () => resolve({ kind: 'gone' }))
  })
}
