import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** One guard for each process that starts servers; it starts with the first of them. */
let guard

/** Has the server ended by this signal when this process is gone, in whatever way it went. */
export function guardServer(pid, signal) {
  tell('server', pid, signal)
}

/** The server has ended; its id may soon belong to another process. */
export function unguardServer(pid) {
  tell('ended', pid)
}

/** Has the folder removed when this process is gone. */
export function guardFolder(path) {
  tell('folder', path)
}

export function unguardFolder(path) {
  tell('removed', path)
}

function tell(...order) {
  guard ??= startGuard()
  guard.stdin.write(`${order.join('\t')}\n`)
}

function startGuard() {
  const child = spawn(process.execPath, [fileURLToPath(new URL('guard.mjs', import.meta.url))], {
    // A session of its own, so that no signal to the owner's group reaches it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env['PATH'] ?? '' },
  })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.unref()
  child.stdin.unref?.()
  return child
}
