// Ends servers whose owner is gone, and removes their folders. Reads one order a line from the owner: `server pid signal`,
// `ended pid`, `folder path`, `removed path`. When the pipe closes, by an end of whatever kind, it clears up what is left.
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { endAll } from './processes.mjs'

// A terminal's interrupt is for the owner; the guard goes when the owner has gone.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

/** @type {Map<number, string>} */
const servers = new Map()
/** @type {Set<string>} */
const folders = new Set()
const orders = {
  server: (pid, signal) => servers.set(Number(pid), signal),
  ended: (pid) => servers.delete(Number(pid)),
  folder: (path) => folders.add(path),
  removed: (path) => folders.delete(path),
}
for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...values] = line.split('\t')
  orders[order]?.(...values)
}
await Promise.all([...servers].map(([pid, signal]) => endAll(pid, signal)))
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
