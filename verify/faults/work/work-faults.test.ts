import { beforeAll, describe, expect, it } from 'vitest'
import { which } from '../../../test-servers/index.mjs'
import { compileTrials, runBuilt } from '../harness/run-built.ts'

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

beforeAll(compileTrials, 120_000)

describe('work of real processes under faults', async () => {
  for (const [lane, store, server] of LANES) {
    const { source, detail } = server ? await which(server) : { source: 'given', detail: '' }
    const missing = source === 'missing'
    it.skipIf(missing)(
      `keeps every promise: ${lane} on ${store}${missing ? ` (skipped: ${detail})` : ''}`,
      { timeout: 180_000 },
      async () => {
        const { code, output } = await runBuilt(
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
    const { code, output } = await runBuilt(
      'verify/faults/dist/faults/work/run-work-mutants.js',
      ...['--only', 'anybody ends a running task on SQLite'],
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/^killed tasks on sqlite: .*I6/m)
  })
})
