import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { which } from '../../../test-servers/index.mjs'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The backends of the lane, and the server that each needs. */
const STORES = [
  ['sqlite', undefined],
  ['redis', 'redis'],
  ['postgres', 'postgres'],
] as const

/** After so many seconds no further round begins on a backend. */
const SECONDS = process.env['ONCEWARD_LOCK_FAULT_SECONDS'] ?? '4'

function run(...parameters: string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 }
    execFile(process.execPath, parameters, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` })
    })
  })
}

beforeAll(async () => {
  const { code, output } = await run(join(root, 'node_modules/typescript/bin/tsc'), '-p', 'verify/faults')
  if (code !== 0)
    throw new Error(`the fault trials do not compile; build the library first (tsc -b)\n${output}`)
}, 120_000)

describe('locks of real processes under faults', async () => {
  for (const [store, server] of STORES) {
    const { source, detail } = server ? await which(server) : { source: 'given', detail: '' }
    const missing = source === 'missing'
    it.skipIf(missing)(
      `keep every promise on ${store}${missing ? ` (skipped: ${detail})` : ''}`,
      { timeout: 180_000 },
      async () => {
        const { code, output } = await run(
          'verify/faults/dist/faults/locks/run-locks.js',
          ...['--store', store, '--trials', '100', '--seconds', SECONDS, '--width', '3', '--require-all'],
        )
        console.log(output.slice(-3000))
        expect(code, output.slice(-12_000)).toBe(0)
        expect(output).toContain('0  violations')
      },
    )
  }

  it('show locks as broken that let two in', { timeout: 180_000 }, async () => {
    const { code, output } = await run(
      'verify/faults/dist/faults/locks/run-lock-mutants.js',
      ...['--only', 'never comes nearer'],
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/^killed sqlite: .*(?:promise|exclusion)/m)
  })
})
