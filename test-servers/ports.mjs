import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardFolder } from './guarded.mjs'
import { isAlive } from './processes.mjs'

/** Below the range from which systems take the ports of outgoing connections, so that a restart finds its port free. */
const FIRST = 10_240
const LAST = 32_000

/** Holds a file for each port that was given to a process which still runs. */
const GIVEN = join(tmpdir(), `onceward-ports-${process.getuid?.() ?? 'user'}`)

/**
 * A port of the loopback that was free a moment ago. As long as this process lives no other is given it: its server may not
 * listen yet, or be down just now, and whoever talks to it would talk to the server of another test.
 */
export async function freePort() {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    if (taken(join(GIVEN, String(port))) && (await canListen(port))) return port
  }
}

/** Takes what nobody has whose process runs. Answers whether it did. */
function taken(file) {
  for (;;) {
    try {
      mkdirSync(GIVEN, { recursive: true })
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      guardFolder(file)
      return true
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holder = holderOf(file)
    if (holder !== undefined && isAlive(holder)) return false
    rmSync(file, { force: true })
  }
}

/** Who has it; nobody where it was just given back. While it is being written it is as good as ours: somebody's who runs. */
function holderOf(file) {
  try {
    return Number(readFileSync(file, 'utf8')) || process.pid
  } catch {
    return undefined
  }
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Waits until something accepts connections there. */
export async function waitForPort(port, { host = '127.0.0.1', timeoutMs = 10_000 } = {}) {
  const until = Date.now() + timeoutMs
  for (;;) {
    if (await accepts(port, host)) return
    if (Date.now() > until) throw new Error(`nothing listens at ${host}:${port} after ${timeoutMs} ms`)
    await sleep(20)
  }
}

function accepts(port, host) {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
