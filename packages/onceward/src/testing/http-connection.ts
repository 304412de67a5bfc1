import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { systemTimers } from '../core/system.ts'

/** An HTTP/1.1 answer as it came over the socket. */
export interface RawResponse {
  readonly status: number
  /** Field names in lower case, in the order received, repeated ones repeated. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** Whether the connection was cut before the body was complete. */
  readonly truncated: boolean
}

/** The value of a field, repeated ones joined by `, `; `undefined` when absent. */
export function field(response: RawResponse, name: string): string | undefined {
  const values = response.headers.filter(([other]) => other === name.toLowerCase()).map(([, value]) => value)
  return values.length === 0 ? undefined : values.join(', ')
}

/**
 * A client connection that sends exactly the bytes it is given and parses answers strictly: a test of a server must
 * not be at the mercy of a client that tidies up.
 */
export class HttpConnection {
  readonly #socket: Socket
  readonly #patienceMs: number
  #received: Buffer = Buffer.alloc(0)
  #ended = false
  #wake: () => void = () => {}

  private constructor(socket: Socket, patienceMs: number) {
    this.#socket = socket
    this.#patienceMs = patienceMs
    socket.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    // A server may reset the connection after refusing a request; what it said before counts.
    socket.on('error', end)
    socket.on('end', end)
    socket.on('close', end)
  }

  /**
   * Connects to a port of this machine.
   *
   * @param patienceMs - How long any one wait for bytes may take, in ms: a hanging server fails its case, not the run.
   */
  static async open(port: number, patienceMs: number): Promise<HttpConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    return new HttpConnection(socket, patienceMs)
  }

  /** Whether the server has ended the connection. */
  get ended(): boolean {
    return this.#ended
  }

  /** What has been received and not yet parsed. */
  get pending(): Buffer {
    return this.#received
  }

  /** Sends bytes as they are; text is sent as latin-1, one byte a character. */
  write(bytes: string | Uint8Array): void {
    if (this.#socket.writable)
      this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Says that nothing more will be sent, and stays to listen. */
  finish(): void {
    this.#socket.end()
  }

  /** Drops the connection as a vanished client does. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Waits until some text stands among the unparsed bytes. */
  async waitForText(text: string): Promise<void> {
    while (!this.#received.includes(text)) {
      if (this.#ended) throw new Error(`connection ended before ${JSON.stringify(text)} arrived`)
      await this.#change()
    }
  }

  /** Waits until the server has ended the connection. */
  async waitForEnd(): Promise<void> {
    while (!this.#ended) await this.#change()
  }

  /**
   * Reads the next final answer. Interim (1xx) ones are passed over.
   *
   * @param method - The method asked with: an answer to `HEAD` has no body, whatever it says.
   */
  async read(method: string): Promise<RawResponse> {
    for (;;) {
      const head = await this.#readHead()
      if (head.status >= 200 || head.status === 101)
        return { ...head, ...(await this.#readBody(method, head)) }
    }
  }

  async #readHead(): Promise<Head> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n')
      if (end >= 0)
        return parseHead(
          this.#take(end + 4)
            .subarray(0, end)
            .toString('latin1'),
        )
      if (this.#ended)
        throw new Error(`connection ended before an answer; ${this.#received.length} bytes left`)
      await this.#change()
    }
  }

  async #readBody(method: string, head: Head): Promise<Pick<RawResponse, 'body' | 'truncated'>> {
    if (method === 'HEAD' || head.status === 204 || head.status === 304 || head.status === 101)
      return { body: Buffer.alloc(0), truncated: false }
    const lengths = head.headers.filter(([name]) => name === 'content-length')
    const chunked = head.headers.some(([name, value]) => name === 'transfer-encoding' && value === 'chunked')
    if (lengths.length > 1 || (chunked && lengths.length > 0))
      throw new Error(
        'the answer has an ambiguous length: more than one Content-Length, or one beside chunks',
      )
    if (chunked) return this.#readChunks()
    const length = lengths[0]?.[1]
    if (length !== undefined) return this.#readCounted(Number(length))
    await this.waitForEnd()
    return { body: this.#take(this.#received.length), truncated: false }
  }

  async #readCounted(length: number): Promise<Pick<RawResponse, 'body' | 'truncated'>> {
    while (this.#received.length < length && !this.#ended) await this.#change()
    const body = this.#take(Math.min(length, this.#received.length))
    return { body, truncated: body.length < length }
  }

  async #readChunks(): Promise<Pick<RawResponse, 'body' | 'truncated'>> {
    const parts: Buffer[] = []
    for (;;) {
      const line = await this.#readLine()
      if (line === undefined) return { body: Buffer.concat(parts), truncated: true }
      const size = Number.parseInt(line, 16)
      if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`)
      if (size === 0) {
        while ((await this.#readLine()) !== '')
          if (this.#ended) return { body: Buffer.concat(parts), truncated: true }
        return { body: Buffer.concat(parts), truncated: false }
      }
      while (this.#received.length < size + 2 && !this.#ended) await this.#change()
      if (this.#received.length < size + 2)
        return { body: Buffer.concat([...parts, this.#take(this.#received.length)]), truncated: true }
      parts.push(this.#take(size + 2).subarray(0, size))
    }
  }

  async #readLine(): Promise<string | undefined> {
    for (;;) {
      const end = this.#received.indexOf('\r\n')
      if (end >= 0)
        return this.#take(end + 2)
          .subarray(0, end)
          .toString('latin1')
      if (this.#ended) return undefined
      await this.#change()
    }
  }

  #take(count: number): Buffer {
    const taken = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const cancel = systemTimers.after(this.#patienceMs, () =>
        reject(new Error(`no answer within ${this.#patienceMs} ms`)),
      )
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

interface Head {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
}

function parseHead(text: string): Head {
  const [statusLine = '', ...lines] = text.split('\r\n')
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1]
  if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`)
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(':')
    if (colon < 1) throw new Error(`not a field line: ${JSON.stringify(line)}`)
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return { status: Number(status), headers }
}
