import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardFolder, unguardFolder } from './guarded.mjs'
import { describeEndpoint, startSharedHere, stopSharedHere } from './shared.mjs'

/**
 * Opens the host of one test run: it lives in the process that outlives all workers, starts each shared server for the
 * first worker that asks, and collects what was used. One line of JSON in, one out.
 *
 * @returns `{ path, uses(), close() }`
 */
export async function openRunHost() {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-run-'))
  guardFolder(folder)
  const path = join(folder, 'host')
  const uses = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.setEncoding('utf8')
    socket.on('error', () => {})
    let received = ''
    socket.on('data', (text) => {
      received += text
      if (received.endsWith('\n'))
        void answer(JSON.parse(received), uses).then((reply) => socket.end(JSON.stringify(reply)))
    })
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  server.unref()
  return {
    path,
    uses: () => uses,
    async close() {
      await stopSharedHere()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
      unguardFolder(folder)
    },
  }
}

async function answer(request, uses) {
  if (request.do === 'note') {
    uses.push(request.use)
    return {}
  }
  try {
    return { endpoint: describeEndpoint(await startSharedHere(request.name)) }
  } catch (error) {
    return { error: { message: error.message, server: error.server, reason: error.reason } }
  }
}
