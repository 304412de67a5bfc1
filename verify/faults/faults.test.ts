import { beforeAll, describe, expect, it } from 'vitest'
import { which } from '../../test-servers/index.mjs'
import { compileTrials, runBuilt } from './harness/run-built.ts'
import { belowFloors, LEAST_TRIALS, noStatistics } from './store-statistics.ts'

/** The stores of the lane, and the servers that each needs. */
const STORES = [
  ['sqlite', []],
  ['redis', ['redis']],
  ['postgres', ['postgres']],
  ['mariadb', ['mariadb']],
  ['tiered', ['redis', 'postgres']],
] as const

/** How long the lane may take on each store, in s: enough to see that the harness works and nothing is badly wrong. */
const SECONDS = process.env['ONCEWARD_FAULT_SECONDS'] ?? '5'

beforeAll(compileTrials, 240_000)

describe('real processes under faults', async () => {
  for (const [store, servers] of STORES) {
    const missing: string[] = []
    for (const name of servers) {
      const { source, detail } = await which(name)
      if (source === 'missing') missing.push(`${name}: ${detail}`)
    }
    const reason = missing.length > 0 ? ` (skipped: ${missing.join('; ')})` : ''
    it.skipIf(missing.length > 0)(
      `keep every promise on ${store}${reason}`,
      { timeout: 360_000 },
      async () => {
        const { code, output } = await runBuilt(
          'verify/faults/dist/faults/run.js',
          ...[
            '--store',
            store,
            '--trials',
            '1000',
            '--seconds',
            SECONDS,
            '--width',
            '2',
            '--quiet',
            '--require-all',
          ],
        )
        console.log(output.slice(-6000))
        expect(code, output.slice(-12_000)).toBe(0)
        expect(output).toContain('0  violations')
      },
    )
  }

  it('show a broken store as broken', { timeout: 360_000 }, async () => {
    const { code, output } = await runBuilt(
      'verify/faults/dist/faults/run-mutants.js',
      '--only',
      'one lease early',
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/^killed sqlite: .*I12/m)
  })
})

describe('a campaign of fault trials', () => {
  it('fails when it ran nothing', () => {
    expect(belowFloors(noStatistics(), [])).toEqual(['no trial was run'])
  })

  it('fails when most trials met nothing, or most operations failed', () => {
    const poor = { ...noStatistics(), trials: 10, counting: 4, operations: 80, acknowledged: 39 }
    expect(belowFloors(poor, [])).toEqual([
      'only 39 of 80 operations succeeded',
      'only 4 of 10 trials saw a takeover, a stale write or a lost reply',
    ])
  })

  it('fails when a fault hardly ever happened, unless it is short', () => {
    const long = { ...noStatistics(), trials: LEAST_TRIALS, counting: LEAST_TRIALS }
    expect(belowFloors(long, ['kill'])).toEqual(['kill happened only 0 times, at least 1 are expected'])
    expect(belowFloors({ ...long, trials: LEAST_TRIALS - 1 }, ['kill'])).toEqual([])
  })
})
