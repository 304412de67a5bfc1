import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { describe, it } from 'vitest'
import { idempotency } from '../../src/http/fastify.ts'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import type { AppResponse, StartHttp } from '../../src/testing/http-target.ts'
import { guarded } from './guarded.ts'
import { appRequest, isChunks, nodeHeaders, respond } from './node-application.ts'

const start: StartHttp = async (setup) => {
  const { options, close } = guarded<FastifyRequest>(setup, (request, name) =>
    request.headers[name]?.toString(),
  )
  const app = fastify({ forceCloseConnections: true, bodyLimit: 2 ** 41 })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', async (request, reply) => {
    if (setup.authorize?.({ headers: { authorization: request.headers.authorization } }) === false)
      await reply.code(403).send('forbidden')
  })
  await app.register(idempotency<FastifyRequest>(options))
  app.all('/*', async (request, reply) => {
    const body = (request.body as Buffer | undefined) ?? new Uint8Array()
    const response = await setup.app(await appRequest(request.raw, body))
    if (response.idiom !== 'raw') return answer(reply, response)
    reply.hijack()
    return respond(reply.raw, response)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: (app.server.address() as AddressInfo).port,
    async close() {
      await app.close()
      await close()
    },
  }
}

function answer(reply: FastifyReply, response: AppResponse): FastifyReply {
  const { status, body, idiom } = response
  for (const [name, value] of nodeHeaders(response)) reply.header(name, value)
  if (idiom === 'redirect') return reply.redirect(String(reply.getHeader('location')), status)
  reply.code(status)
  if (body === undefined) return reply.send()
  if (isChunks(body)) return reply.send(Readable.from(body))
  if (idiom === 'json') return reply.send(JSON.parse(body.toString()))
  return reply.send(typeof body === 'string' ? body : Buffer.from(body))
}

describe('Fastify', () => {
  registerCases(it, httpConformance(start))
})
