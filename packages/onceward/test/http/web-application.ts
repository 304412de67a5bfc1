import type { AppRequest, AppResponse } from '../../src/testing/http-target.ts'
import { isChunks } from './node-application.ts'

/** Reads what an application is told from a Web request. */
export async function webAppRequest(request: Request): Promise<AppRequest> {
  const { pathname, search } = new URL(request.url)
  return {
    method: request.method,
    path: pathname,
    query: search.slice(1),
    headers: Object.fromEntries(request.headers),
    body: new Uint8Array(await request.arrayBuffer()),
  }
}

/** Makes a Web response of an answer. */
export function webResponse({ status, headers = [], body, idiom }: AppResponse): Response {
  const init = { status, headers: headers.map(([name, value]): [string, string] => [name, value]) }
  if (body === undefined || status === 204 || status === 304) return new Response(null, init)
  if (isChunks(body)) return new Response(streamOf(body), init)
  if (idiom === 'json') return Response.json(JSON.parse(body.toString()), init)
  return new Response(typeof body === 'string' ? body : Uint8Array.from(body), init)
}

/** A Web stream of chunks that breaks where they do. */
export function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
  })
}
