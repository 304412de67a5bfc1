import { expect } from 'vitest'
import { command } from './in-process.ts'
import { workshop } from './processes.ts'
import { startUpstream } from './servers.ts'

/** A gateway that would start if its store could be used. */
export const GATEWAY: readonly string[] = [
  'gateway',
  '--upstream',
  'http://127.0.0.1:9',
  '--scope',
  'public',
  '--port',
  '0',
  '--admin-port',
  '0',
]

/** Every command that opens a store. */
export const COMMANDS: readonly (readonly string[])[] = [
  GATEWAY,
  ['ls'],
  ['show', 'abcdef'],
  ['resolve', 'abcdef', '--as', 'release', '--reason', 'r'],
  ['doctor'],
]

/** Runs a command that must fail: one line, the mend, no secret, no stack, and the exit code of a store. */
export async function refused(args: readonly string[], message: RegExp, code = 5): Promise<void> {
  const said = await command(args)
  expect(said).toMatchObject({ stdout: '', code })
  expect(said.stderr.trim().split('\n')).toHaveLength(1)
  expect(said.stderr).toMatch(message)
  expect(said.stderr).not.toMatch(/canary|can%61ry|node:internal|\.js:\d/)
}

/** A URL with some parts changed. */
export const withParts = (url: string, change: (url: URL) => void): string => {
  const changed = new URL(url)
  change(changed)
  return changed.href
}

/** An operation with an outcome, made by a real request; answers its id. */
export async function answered(store: string): Promise<{ readonly id: string }> {
  const shop = workshop()
  try {
    const upstream = await startUpstream((_, response) => void response.writeHead(201).end('fine'))
    shop.after(() => upstream.close())
    const gateway = await shop.gateway(['--upstream', upstream.url, '--scope', 'public', '--store', store])
    const answer = await fetch(gateway.url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    expect(answer.status).toBe(201)
    const [operation] = JSON.parse((await command(['ls', '--json', '--store', store])).stdout) as {
      id: string
    }[]
    return { id: operation?.id ?? '' }
  } finally {
    await shop.clear()
  }
}
