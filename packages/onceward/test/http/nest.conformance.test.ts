import type { NestExpressApplication } from '@nestjs/platform-express'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { describe, it } from 'vitest'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { NestFactory, startNest } from './nest-binding.ts'

const without = { throws: 'Nest keeps throws from interceptors that do not stand in the stream' }
const options = { logger: false, bodyParser: false } as const

describe('Nest on Express', () => {
  const start = startNest((module) => NestFactory.create<NestExpressApplication>(module, options), '{*path}')
  registerCases(it, httpConformance(start, { without }))
})

describe('Nest on Fastify', () => {
  const start = startNest(async (module) => {
    const adapter = new FastifyAdapter({ bodyLimit: 2 ** 41, forceCloseConnections: true })
    const app = await NestFactory.create<NestFastifyApplication>(module, adapter, options)
    const fastify = adapter.getInstance()
    fastify.removeAllContentTypeParsers()
    fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    return app
  }, '*')
  registerCases(
    it,
    httpConformance(start, {
      without: { ...without, unreadBody: 'Fastify has read the body before an interceptor' },
    }),
  )
})
