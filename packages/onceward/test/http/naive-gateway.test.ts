import { request as ask, createServer, type Server } from 'node:http'
import { describe, expect, it } from 'vitest'
import { gatewayConformance } from '../../src/testing/http-gateway-cases.ts'
import type { StartHttp } from '../../src/testing/http-target.ts'
import { listening } from './listening.ts'
import { listener } from './node-application.ts'

/** A reverse proxy as it is written in an afternoon: everything is passed on as it came. */
const start: StartHttp = async ({ app }) => {
  const upstream = await listening(createServer(listener(app)))
  const proxy: Server = createServer((request, response) => {
    const { method, url: path, headers } = request
    const onward = ask({ port: upstream.port, method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  return listening(proxy, () => upstream.close())
}

/** What even a naive proxy does right, because Node does. */
const RIGHT = [
  'what a client sends about its length reaches the service once',
  'an answer without a key flows through unchanged and is not marked',
]

describe('the gateway suite rejects a naive proxy:', () => {
  // What it never answers is not waited for as long as what it answers.
  for (const { name, run } of gatewayConformance(start, { patienceMs: 1500 }))
    if (!RIGHT.includes(name)) it(name, () => expect(run()).rejects.toThrow())
  for (const { name, run } of gatewayConformance(start)) if (RIGHT.includes(name)) it(name, run)
})
