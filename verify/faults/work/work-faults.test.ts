import { beforeAll, describe, expect, it } from 'vitest'
import { which } from '../../../test-servers/index.mjs'
import { isEnough } from '../harness/campaign.ts'
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

/** How long a lane may take on a machine where each round takes half a minute, as long as it has met too little. */
const LONGEST_MS = 600_000

beforeAll(compileTrials, 120_000)

describe('work of real processes under faults', async () => {
  for (const [lane, store, server] of LANES) {
    const { source, detail } = server ? await which(server) : { source: 'given', detail: '' }
    const missing = source === 'missing'
    it.skipIf(missing)(
      `keeps every promise: ${lane} on ${store}${missing ? ` (skipped: ${detail})` : ''}`,
      { timeout: LONGEST_MS },
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

  it('is shown as broken where anybody ends a running task', { timeout: LONGEST_MS }, async () => {
    const { code, output } = await runBuilt(
      'verify/faults/dist/faults/work/run-work-mutants.js',
      ...['--only', 'anybody ends a running task on SQLite'],
    )
    expect(code, output).toBe(0)
    expect(output).toMatch(/^killed tasks on sqlite: .*I6/m)
  })
})

describe('a campaign that is to take two seconds', () => {
  it('ends after its time where enough was met, and goes on where it was not: for twelve times as long, and ten rounds', () => {
    const over = (rounds: number, ranSeconds: number, meetsLittle: boolean) =>
      isEnough({ seconds: 2, rounds, ranSeconds, meetsLittle })
    expect([over(0, 30, false), over(1, 1, false), over(1, 30, false)]).toEqual([false, false, true])
    // One round of a busy machine, many of a quick one, and enough of both.
    expect([over(1, 30, true), over(20, 20, true), over(10, 30, true)]).toEqual([false, false, true])
  })
})
