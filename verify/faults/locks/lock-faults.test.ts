import { beforeAll, describe, expect, it } from 'vitest'
import { which } from '../../../test-servers/index.mjs'
import { compileTrials, runBuilt } from '../harness/run-built.ts'

/** The backends of the lane, and the server that each needs. */
const STORES = [
  ['sqlite', undefined],
  ['redis', 'redis'],
  ['postgres', 'postgres'],
] as const

/** After so many seconds no further round begins on a backend. */
const SECONDS = process.env['ONCEWARD_LOCK_FAULT_SECONDS'] ?? '4'

beforeAll(compileTrials, 120_000)

describe('locks of real processes under faults', async () => {
  for (const [store, server] of STORES) {
    const { source, detail } = server ? await which(server) : { source: 'given', detail: '' }
    const missing = source === 'missing'
    it.skipIf(missing)(
      `keep every promise on ${store}${missing ? ` (skipped: ${detail})` : ''}`,
      { timeout: 600_000 },
      async () => {
        const { code, output } = await runBuilt(
          'verify/faults/dist/faults/locks/run-locks.js',
          ...['--store', store, '--trials', '100', '--seconds', SECONDS, '--width', '3', '--require-all'],
        )
        console.log(output.slice(-3000))
        expect(code, output.slice(-12_000)).toBe(0)
        expect(output).toContain('0  violations')
      },
    )
  }

  it('show locks as broken that let two in', { timeout: 600_000 }, async () => {
    const { code, output } = await runBuilt(
      'verify/faults/dist/faults/locks/run-lock-mutants.js',
      ...['--only', 'never comes nearer'],
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/^killed sqlite: .*(?:promise|exclusion)/m)
  })
})
