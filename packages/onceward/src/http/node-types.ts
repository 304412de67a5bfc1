import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request of `node:http`, with what frameworks and body parsers leave on it. */
export type NodeRequest = IncomingMessage & {
  /** The target before a router cut its mount point off (Express, Koa, Fastify). */
  readonly originalUrl?: string
  /** The bytes of the body, where a parser keeps them. */
  readonly rawBody?: unknown
  /** What a body parser made of the body. */
  readonly body?: unknown
}

/** A response of `node:http`. */
export type NodeResponse = ServerResponse
