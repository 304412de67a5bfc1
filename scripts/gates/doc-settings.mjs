/**
 * What surrounds an example: in a file or a section about one framework, a short example speaks of `app` and `Request`
 * and means that framework's.
 *
 * @type {Record<string, Record<string, string>>} Subpath → name → the declaration that brings it.
 */
export const settings = {
  'onceward/express': {
    Request: `import type { Request } from 'express'`,
    app: `declare const app: import('express').Express`,
  },
  'onceward/fastify': {
    FastifyRequest: `import type { FastifyRequest } from 'fastify'`,
    app: `declare const app: import('fastify').FastifyInstance`,
  },
  'onceward/koa': {
    Koa: `import type Koa from 'koa'`,
    app: `declare const app: import('koa')`,
  },
  'onceward/hono': {
    Context: `import type { Context } from 'hono'`,
    Env: 'type Env = { Variables: { user?: { id: string } } }',
    app: `declare const app: import('hono').Hono<{ Variables: { user?: { id: string } } }>`,
  },
  'onceward/nest': {
    AppModule: 'declare class AppModule {}',
    NestFactory: `import { NestFactory } from '@nestjs/core'`,
    Request: `import type { Request } from 'express'`,
    app: `declare const app: import('@nestjs/common').INestApplication`,
  },
  'onceward/fetch': {},
  'onceward/node': {},
}

/** How sections of the documents call what they are about. */
const SECTIONS = /** @type {const} */ ([
  [/express/i, 'onceward/express'],
  [/fastify/i, 'onceward/fastify'],
  [/koa/i, 'onceward/koa'],
  [/hono/i, 'onceward/hono'],
  [/nest/i, 'onceward/nest'],
  [/web-standard|fetch/i, 'onceward/fetch'],
  [/node:http/i, 'onceward/node'],
])

/**
 * The subpath that a document is speaking of where it shows an example: by the last bold words or heading before it.
 *
 * @param {string} before The text above the example.
 * @returns {string | undefined}
 */
export function settingOf(before) {
  const title = [...before.matchAll(/^(?:#+ (.*)$|\*\*(.+?)\*\*)/gm)].at(-1)
  const text = title?.[1] ?? title?.[2] ?? ''
  return SECTIONS.find(([pattern]) => pattern.test(text))?.[1]
}
