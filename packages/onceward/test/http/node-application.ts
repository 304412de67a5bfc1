import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AppRequest, AppResponse, HttpApplication } from '../../src/testing/http-target.ts'

/** Reads what an application is told from a Node request. `body`: where a parser has read it already. */
export async function appRequest(request: IncomingMessage, body?: Uint8Array): Promise<AppRequest> {
  const target = request.url ?? '/'
  const cut = target.indexOf('?')
  return {
    method: request.method ?? 'GET',
    path: cut < 0 ? target : target.slice(0, cut),
    query: cut < 0 ? '' : target.slice(cut + 1),
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : value,
      ]),
    ),
    body: body ?? (await readBody(request)),
  }
}

/** Reads a Node stream to its end. */
export async function readBody(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

/** Fields of an answer as Node takes them, repeated ones grouped. */
export function nodeHeaders(answer: AppResponse): readonly (readonly [string, string | string[]])[] {
  const grouped = new Map<string, string[]>()
  for (const [name, value] of answer.headers ?? []) {
    const values = grouped.get(name.toLowerCase()) ?? []
    values.push(value)
    grouped.set(name.toLowerCase(), values)
  }
  return [...grouped].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values])
}

/** Writes an answer by `node:http` alone. A body that breaks off takes the connection with it. */
export async function respond(response: ServerResponse, answer: AppResponse): Promise<void> {
  response.statusCode = answer.status
  for (const [name, value] of nodeHeaders(answer)) response.setHeader(name, value)
  if (answer.body === undefined) response.end()
  else if (isChunks(answer.body)) await writeChunks(response, answer.body)
  else response.end(answer.body)
}

/** Whether a body comes in chunks. */
export function isChunks(body: NonNullable<AppResponse['body']>): body is AsyncIterable<Uint8Array> {
  return typeof body !== 'string' && !(body instanceof Uint8Array)
}

/** An application as a `node:http` listener; a throw is a bare 500, as in every framework. */
export function listener(app: HttpApplication): RequestListener {
  return (request, response) => {
    const answer = async () => respond(response, await app(await appRequest(request)))
    answer().catch(() => {
      if (!response.headersSent) response.writeHead(500).end('failed')
      else response.destroy()
    })
  }
}

async function writeChunks(response: ServerResponse, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of chunks) response.write(chunk)
    response.end()
  } catch {
    response.destroy()
  }
}
