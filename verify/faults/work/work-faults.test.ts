import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { which } from '../../../test-servers/index.mjs'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What is tried where; `npm run verify -- --work` tries everything everywhere. */
const LANES = [
  ['tokens', 'redis', 'redis'],
  ['tasks', 'sqlite', undefined],
  ['messages', 'postgres', 'postgres'],
  ['dedupe', 'redis', 'redis'],
  ['guards', 'sqlite', undefined],
] as const

/** After so many seconds no further round begins on a store, once enough was seen. */
const SECONDS = process.env['ONCEWARD_WORK_FAULT_SECONDS'] ?? '2'

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

describe('work of real processes under faults', async () => {
  for (const [lane, store, server] of LANES) {
    const { source, detail } = server ? await which(server) : { source: 'given', detail: '' }
    const missing = source === 'missing'
    it.skipIf(missing)(
      `keeps every promise: ${lane} on ${store}${missing ? ` (skipped: ${detail})` : ''}`,
      { timeout: 180_000 },
      async () => {
        const { code, output } = await run(
          'verify/faults/dist/faults/work/run-work.js',
          ...['--lane', lane, '--store', store, '--seed', '10', '--trials', '30', '--seconds', SECONDS],
          '--require-all',
        )
        console.log(output.slice(-3000))
        expect(code, output.slice(-12_000)).toBe(0)
        expect(output).toContain('0  violations')
      },
    )
  }

  it('is shown as broken where anybody ends a running task', { timeout: 180_000 }, async () => {
    const { code, output } = await run(
      'verify/faults/dist/faults/work/run-work-mutants.js',
      ...['--only', 'anybody ends a running task on SQLite'],
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/^killed tasks on sqlite: .*I6/m)
  })
})
