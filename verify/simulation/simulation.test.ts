import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { belowFloors } from './floors.ts'
import { noStatistics } from './history.ts'

/** How many seeds every test run goes through. `ONCEWARD_SEEDS` asks for more or fewer. */
const SEEDS = process.env['ONCEWARD_SEEDS'] ?? '50000'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')

/** Runs a program and tells how it ended; the simulation runs compiled, because a transform would slow it down. */
function run(...parameters: string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      parameters,
      { cwd: root, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` })
      },
    )
  })
}

beforeAll(async () => {
  const { code, output } = await run('node_modules/typescript/bin/tsc', '-p', 'verify/simulation')
  if (code !== 0)
    throw new Error(`the simulation does not compile; build the library first (tsc -b)\n${output}`)
}, 120_000)

describe('the engine in deterministic simulation', () => {
  it(`keeps every promise over ${SEEDS} seeds`, { timeout: 1_800_000 }, async () => {
    const { code, output } = await run('verify/simulation/dist/run.js', '--seeds', SEEDS)
    console.log(output.slice(-12_000))
    expect(code, output.slice(-12_000)).toBe(0)
  })

  it('is noticed when it is broken, whatever is broken', { timeout: 1_800_000 }, async () => {
    const { code, output } = await run('verify/simulation/dist/run-mutants.js')
    expect(code, output).toBe(0)
    expect(output).toMatch(/^(\d+) of \1 mutants killed$/m)
    expect(Number(/^(\d+) of/m.exec(output)?.[1])).toBeGreaterThanOrEqual(12)
  })

  it('tells the same story for the same seed', { timeout: 60_000 }, async () => {
    const tell = () => run('verify/simulation/dist/run.js', '--seed', '42')
    const [first, second] = await Promise.all([tell(), tell()])
    expect(first.output).toContain('STORE')
    expect(first.output).toBe(second.output)
  })
})

describe('a campaign', () => {
  it('fails when it has seen too little to mean anything', () => {
    expect(belowFloors(noStatistics(), 1000)).toContain(
      'only 0 takeovers in 1000 seeds, at least 40 are expected',
    )
  })

  it('is not held to floors when it is short', () => {
    expect(belowFloors(noStatistics(), 10)).toEqual([])
  })
})
