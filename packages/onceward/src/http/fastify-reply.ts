import type { ServerResponse } from 'node:http'

/** What is used of Fastify's reply. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse
  getHeaders(): Readonly<Record<string, number | string | string[] | undefined>>
  hijack(): unknown
  code(status: number): unknown
  header(name: string, value: unknown): unknown
  send(body: unknown): unknown
}

/** Takes the response away from Fastify, with the fields that hooks have set on the reply so far. */
export function hijack(reply: FastifyReplyLike): void {
  reply.hijack()
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) reply.raw.setHeader(name, value)
  }
}
