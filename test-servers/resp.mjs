import { connect } from 'node:net'

/** A server that does not answer one command within this time has failed it. */
const REPLY_MS = 20_000

/**
 * Sends commands to a Redis, one after the other on one connection, and answers the last reply. The harness has its own
 * few lines for it so that it can watch a server while the clients under test are elsewhere.
 */
export function command({ host, port, password }, ...commands) {
  const all = password === undefined ? commands : [['AUTH', password], ...commands]
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = Buffer.alloc(0)
    let answered = 0
    const finish = (settle, value) => {
      socket.destroy()
      settle(value)
    }
    socket.setTimeout(REPLY_MS, () =>
      finish(reject, new Error(`no reply from ${host}:${port} in ${REPLY_MS} ms`)),
    )
    socket.once('error', (error) => finish(reject, error))
    socket.once('close', () => reject(new Error(`${host}:${port} closed the connection`)))
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      for (let parsed = parse(received, 0); parsed; parsed = parse(received, 0)) {
        received = received.subarray(parsed.end)
        if (parsed.value instanceof Error) return finish(reject, parsed.value)
        if (++answered === all.length) return finish(resolve, parsed.value)
      }
    })
    socket.write(all.map(encode).join(''))
  })
}

function encode(parts) {
  return `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`
}

/** Reads one reply; nothing if it has not arrived whole. */
function parse(bytes, start) {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const end = lineEnd + 2
  switch (String.fromCharCode(bytes[start])) {
    case '+':
      return { value: line, end }
    case '-':
      return { value: new Error(line), end }
    case ':':
      return { value: Number(line), end }
    case '$': {
      const length = Number(line)
      if (length < 0) return { value: null, end }
      if (bytes.length < end + length + 2) return undefined
      return { value: bytes.toString('utf8', end, end + length), end: end + length + 2 }
    }
    default:
      return parseArray(bytes, Number(line), end)
  }
}

function parseArray(bytes, length, start) {
  if (length < 0) return { value: null, end: start }
  const value = []
  let end = start
  for (let index = 0; index < length; index++) {
    const item = parse(bytes, end)
    if (!item) return undefined
    value.push(item.value)
    end = item.end
  }
  return { value, end }
}
