import { connect } from 'node:net'

/** Names the socket of the run's host, which the vitest set-up opens. */
export const RUN_SOCKET = 'ONCEWARD_TEST_RUN'

/**
 * Asks the host of this run; answers nothing where there is none, as in a script.
 *
 * @param {{ do: string }} request
 */
export function askHost(request) {
  const path = process.env[RUN_SOCKET]
  if (path === undefined) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let received = ''
    socket.setEncoding('utf8')
    socket.once('error', (error) => reject(new Error(`the test run's host is gone: ${error.message}`)))
    socket.on('data', (text) => {
      received += text
    })
    socket.once('end', () => {
      try {
        resolve(JSON.parse(received))
      } catch {
        reject(new Error('the host of the test run ended within its answer'))
      }
    })
    socket.write(`${JSON.stringify(request)}\n`)
  })
}

/** Tells the run which server was used, or is missing, for its table. A test does not fail of it. */
export async function noteUse(use) {
  await askHost({ do: 'note', use }).catch(() => {})
}
