import { createHash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { fileKey } from './file-key.ts'

const bytes = Buffer.from('the content of a file')
const expected = `f1_${createHash('sha256').update(bytes).digest('base64url')}`

describe('the key of a file', () => {
  it('is the same for the same content, whatever holds it and however it is cut', async () => {
    async function* generated() {
      for (const byte of bytes) yield new Uint8Array([byte])
    }
    expect(await fileKey(bytes)).toBe(expected)
    expect(await fileKey(new Uint8Array(bytes))).toBe(expected)
    expect(await fileKey(new Blob([bytes]))).toBe(expected)
    expect(await fileKey(new Blob([bytes]).stream())).toBe(expected)
    expect(await fileKey(Readable.from([bytes.subarray(0, 5), bytes.subarray(5)]))).toBe(expected)
    expect(await fileKey(generated())).toBe(expected)
    expect(await fileKey(bytes, { prefix: 'statement_' })).toBe(expected.replace('f1_', 'statement_'))
    expect(await fileKey(new Uint8Array())).not.toBe(expected)
  })

  it('is refused for a stream that was read to its end before, and made for an empty one', async () => {
    const web = new Blob([bytes]).stream()
    const reader = web.getReader()
    while (!(await reader.read()).done);
    reader.releaseLock()
    const node = Readable.from([bytes])
    await fileKey(node)
    for (const used of [node, web]) await expect(fileKey(used)).rejects.toThrow(/read before/)
    const empty = await fileKey(new Uint8Array())
    expect(await fileKey(Readable.from([]))).toBe(empty)
    expect(await fileKey(new Blob([]).stream())).toBe(empty)
  })

  it('needs constant memory for any length', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 7)
    let peak = 0
    async function* large() {
      for (let count = 0; count < 256; count += 1) {
        peak = Math.max(peak, process.memoryUsage().arrayBuffers)
        yield chunk
      }
    }
    const before = process.memoryUsage().arrayBuffers
    await fileKey(large(), { signal: new AbortController().signal })
    expect(peak - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('stops at the signal, even while the source is silent, and closes the source', async () => {
    const reason = new Error('enough')
    const silent = new PassThrough()
    const controller = new AbortController()
    const key = fileKey(silent, { signal: controller.signal })
    controller.abort(reason)
    await expect(key).rejects.toBe(reason)
    expect(silent.destroyed).toBe(true)

    let cancelled: unknown
    const web = new ReadableStream<Uint8Array>({
      cancel(why) {
        cancelled = { why }
      },
    })
    const later = new AbortController()
    const webKey = fileKey(web, { signal: later.signal })
    later.abort(reason)
    await expect(webKey).rejects.toBe(reason)
    expect(cancelled).toBeDefined()

    await expect(fileKey(bytes, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('passes errors of the source on, and refuses text and what is no stream', async () => {
    const broken = new Readable({
      read() {
        this.destroy(new Error('disk'))
      },
    })
    await expect(fileKey(broken)).rejects.toThrow('disk')
    const decoded = Readable.from(['text'])
    await expect(fileKey(decoded)).rejects.toThrow('the stream gave a string; it must give bytes')
    expect(decoded.destroyed).toBe(true)
    await expect(fileKey('/etc/hosts' as never)).rejects.toThrow(TypeError)
    await expect(fileKey(undefined as never)).rejects.toThrow(TypeError)
  })
})
