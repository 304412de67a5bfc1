// A TCP proxy that stands for a bad network: it delivers every request to Redis, and instead of every 50th reply it resets
// the connection. What the client had sent and not been answered was executed, or was not: the client cannot know.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** Starts it. `kills` counts connections that were reset; nothing is killed while `every` is 0. */
export async function startKillingProxy(target) {
  const proxy = { url: '', every: 0, kills: 0, stop }
  const sockets = new Set()
  let replies = 0
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port || 6379) })
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.once('error', end)
      socket.once('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.pipe(upstream)
    let pending = Buffer.alloc(0)
    upstream.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes])
      for (let reply = firstReply(pending); reply; reply = firstReply(pending)) {
        replies += reply.answers
        if (proxy.every > 0 && replies >= proxy.every) {
          replies = 0
          proxy.kills++
          client.resetAndDestroy()
          return
        }
        client.write(pending.subarray(0, reply.end))
        pending = pending.subarray(reply.end)
      }
    })
  })

  async function stop() {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(target)
  url.hostname = '127.0.0.1'
  url.port = String(server.address().port)
  proxy.url = url.href
  return proxy
}

/** Where the first reply ends, if it is all there. A list counts as many answers: it may be those of several commands. */
function firstReply(bytes) {
  const end = endOf(bytes, 0)
  if (end < 0) return undefined
  const list = /^\*(\d+)/.exec(bytes.toString('latin1', 0, 16))
  return { end, answers: list ? Number(list[1]) : 1 }
}

function endOf(bytes, from) {
  const line = bytes.indexOf('\r\n', from)
  if (line < 0) return -1
  const type = String.fromCharCode(bytes[from])
  const size = Number(bytes.toString('latin1', from + 1, line))
  const start = line + 2
  if ('$=!'.includes(type)) {
    const end = size < 0 ? start : start + size + 2
    return end <= bytes.length ? end : -1
  }
  if (!'*~>%|'.includes(type)) return start
  // An attribute (`|`) stands before the value that it describes.
  const parts = type === '%' ? 2 * size : type === '|' ? 2 * size + 1 : size
  let end = start
  for (let part = 0; part < parts && end >= 0; part++) end = endOf(bytes, end)
  return end
}
