/** The test run itself cannot be silently green. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withFixture } from '../gates/fixture.mjs'
import { ROOT } from '../house/paths.mjs'
import { runNode } from '../house/run.mjs'
import { runVitest } from './run-vitest.mjs'
import { closingLine, remarks, rowsOfTests, sumUp, table, totalsOfTap } from './tally.mjs'

const CONFIG = `export default { test: { include: ['*.test.mjs'], maxWorkers: 1 } }\n`
const IMPORT = `import { expect, it } from 'vitest'\n`

/** Runs vitest on a small tree of its own and sums up. */
async function sumOf(/** @type {Record<string, string>} */ files) {
  const env = { ...process.env }
  for (const name of Object.keys(env)) if (name.startsWith('VITEST')) delete env[name]
  const rows = await withFixture({ 'vitest.config.mjs': CONFIG, ...files }, (root) =>
    runVitest({ env, cwd: root, args: ['--root', root] }),
  )
  return sumUp(rows, { requireAll: false })
}

describe('a run of the tests', { timeout: 60_000 }, () => {
  it('counts what passed, and what was skipped with its reason', async () => {
    const sum = await sumOf({
      'a.test.mjs': `${IMPORT}it('holds', () => expect(1).toBe(1))\nit('waits', (t) => t.skip('needs a server'))\n`,
    })
    expect(sum).toMatchObject({ passed: 1, failed: 0, skipped: 1 })
    expect(sum.skips[0]?.reason).toBe('needs a server')
  })

  it.each([
    ['a test fails', `${IMPORT}it('breaks', () => expect(1).toBe(2))\n`],
    ['a file cannot be loaded', `${IMPORT}import './gone.mjs'\nit('holds', () => {})\n`],
    ['a file holds no test', `${IMPORT}export const nothing = [expect, it]\n`],
    [
      'a promise nobody awaited rejects',
      `${IMPORT}it('holds', async () => { Promise.reject(new Error('lost')); await new Promise(setImmediate) })\n`,
    ],
    [
      'a hook fails',
      `${IMPORT}import { beforeAll } from 'vitest'\nbeforeAll(() => { throw new Error('no') })\nit('holds', () => {})\n`,
    ],
    [
      'a test is left alone with .only',
      `${IMPORT}it.only('holds', () => {})\nit('breaks', () => expect(1).toBe(2))\n`,
    ],
    ['the worker dies', `${IMPORT}it('dies', () => process.kill(process.pid, 'SIGKILL'))\n`],
  ])('fails when %s, though another file is fine', async (_, text) => {
    const fine = `${IMPORT}it('is fine', () => {})\n`
    const sum = await sumOf({ 'fine.test.mjs': fine, 'bad.test.mjs': text })
    expect(sum.failed).toBeGreaterThan(0)
  })

  it('fails when there is nothing to run', async () => {
    expect((await sumOf({})).failed).toBe(1)
  })

  it('fails when every test was skipped', async () => {
    const sum = await sumOf({ 'a.test.mjs': `${IMPORT}it.skip('never', () => {})\n` })
    expect(sum).toMatchObject({ passed: 0, failed: 1 })
  })

  it('fails when the configuration is broken', async () => {
    expect((await sumOf({ 'vitest.config.mjs': 'throw new Error("broken")\n' })).failed).toBe(1)
  })
})

describe('summing up', () => {
  const skip = (/** @type {string} */ reason) => [
    { part: 'a', passed: 3, failed: 0, skips: [{ name: 'x', reason }], ms: 0 },
  ]

  it('takes a skip for a failure where everything is required', () => {
    expect(sumUp(skip('no redis here'), { requireAll: true })).toMatchObject({
      passed: 3,
      failed: 1,
      skipped: 0,
    })
    expect(sumUp(skip('no redis here'), { requireAll: false })).toMatchObject({
      passed: 3,
      failed: 0,
      skipped: 1,
    })
  })

  it('lets a test pass that says where else it runs, or that it does not apply', () => {
    expect(sumUp(skip('elsewhere: on Node 22'), { requireAll: true }).failed).toBe(0)
    expect(sumUp(skip('not applicable: the store does not list'), { requireAll: true }).failed).toBe(0)
  })

  it('lets a case of a suite pass that names the capability it lacks, and none that lacks a server', () => {
    const named = (/** @type {string} */ reason) =>
      rowsOfTests({
        tests: [{ file: 'packages/a/src/b/c.test.ts', name: `x > y [skipped: ${reason}]`, state: 'skipped' }],
        errors: [],
      })
    expect(sumUp(named('the store does not list'), { requireAll: true }).failed).toBe(0)
    expect(sumUp(named('redis-server was not found'), { requireAll: true }).failed).toBe(1)
  })

  it('tells the reason in a title once, as the reason', () => {
    const skipsOf = (/** @type {string} */ name, /** @type {string | undefined} */ note = undefined) =>
      rowsOfTests({ tests: [{ file: 'a/b.test.ts', name, state: 'skipped', note }], errors: [] })[0]?.skips[0]
    expect(skipsOf('x > y [skipped: no [a] list]')).toMatchObject({
      name: 'a/b.test.ts: x > y',
      reason: 'no [a] list',
    })
    expect(skipsOf('x [skipped: why] > y')).toMatchObject({ name: 'a/b.test.ts: x > y', reason: 'why' })
    expect(skipsOf('x > y [skipped: two\nlines]')).toMatchObject({ reason: 'two\nlines' })
    expect(skipsOf('x > y', 'a note')).toMatchObject({ name: 'a/b.test.ts: x > y', reason: 'a note' })
    expect(skipsOf('x > y')).toMatchObject({ reason: 'no reason given', declared: false })
  })

  it('takes an unknown state and an error outside any test for failures', () => {
    const rows = rowsOfTests({
      tests: [{ file: 'packages/a/src/b/c.test.ts', name: 'x', state: 'pending' }],
      errors: ['y'],
    })
    expect(sumUp(rows, { requireAll: false })).toMatchObject({ passed: 0, failed: 2 })
  })

  it('tells at the end what stands, what was refused and what has failed, in this order', () => {
    const test = (
      /** @type {string} */ name,
      /** @type {string} */ state,
      /** @type {string} */ error = '',
    ) => ({
      file: 'a/b.test.ts',
      name,
      state,
      error,
    })
    const rows = rowsOfTests({
      tests: [
        test('x [skipped: no list]', 'skipped'),
        test('breaks', 'failed', 'expected 1\nto be 2'),
        test('y [skipped: no list]', 'skipped'),
        test('z [skipped: redis was not found]', 'skipped'),
      ],
      errors: ['lost'],
    })
    expect(remarks(rows, sumUp(rows, { requireAll: true }))).toEqual([
      '  skipped: 2 × a/b.test.ts (no list)',
      '  not run, so failed: a/b.test.ts: z (redis was not found)',
      '  failed: a/b.test.ts: breaks\n    expected 1\n    to be 2',
      '  failed: outside any test\n    lost',
    ])
  })

  it('reads the totals of node --test, and notices that they are missing', () => {
    expect(totalsOfTap('# tests 4\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n')).toEqual({
      passed: 2,
      failed: 2,
      skipped: 0,
    })
    expect(totalsOfTap('TAP version 13\n# pass 2\n')).toBeUndefined()
  })

  it('closes with one line', () => {
    expect(closingLine({ passed: 1, failed: 0, skipped: 0 })).toBe('1 passed, 0 failed')
    expect(closingLine({ passed: 1, failed: 0, skipped: 2 })).toBe('1 passed, 0 failed, 2 skipped')
    expect(table([{ part: 'gate x', passed: 0, failed: 1, skips: [], ms: 1200 }])).toMatch(
      /gate x +FAILED +0 passed, 1 failed +1\.2 s/,
    )
  })
})

describe('two processes', { timeout: 60_000 }, () => {
  const script = (/** @type {string} */ work) => `
    import { exclusively } from ${JSON.stringify(join(ROOT, 'scripts/house/exclusive.mjs'))}
    import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs'
    ${work}`

  it('never do exclusive work at the same time', async () => {
    const work = script(`
      for (let i = 0; i < 20; i++) await exclusively('t', async () => {
        if (existsSync('inside')) process.exit(3)
        writeFileSync('inside', '')
        await new Promise(setImmediate)
        rmSync('inside')
        appendFileSync('count', '.')
      }, { folder: 'locks' })`)
    const codes = await withFixture({ 'work.mjs': work }, (root) =>
      Promise.all([1, 2, 3].map(() => runNode(join(root, 'work.mjs'), [], { cwd: root }))),
    )
    expect(codes.map(({ code, output }) => code || output)).toEqual(['', '', ''])
  })

  it('do not wait for one that has died in the middle', async () => {
    const [dies, works] = [
      `await exclusively('t', () => process.kill(process.pid, 'SIGKILL'), { folder: 'locks' })`,
      `await exclusively('t', () => console.log('done'), { folder: 'locks' })`,
    ].map(script)
    const output = await withFixture({ 'dies.mjs': dies ?? '', 'works.mjs': works ?? '' }, async (root) => {
      await runNode(join(root, 'dies.mjs'), [], { cwd: root })
      return (await runNode(join(root, 'works.mjs'), [], { cwd: root, timeoutMs: 40_000 })).output
    })
    expect(output).toBe('done\n')
  })
})
