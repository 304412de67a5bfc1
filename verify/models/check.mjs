/**
 * Checks the model of the claim protocol exhaustively with Spin: what must hold holds in every reachable state, and the
 * documented limits are reachable.
 *
 * `node verify/models/check.mjs [--require-all]` prints a table. Exit codes: 0 when everything is as it should be or no
 * Spin can be had (the reason is printed), 1 otherwise; `--require-all` makes the absence of Spin a failure.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { onPath, privatePrefix } from '../../test-servers/private-prefix.mjs'

const run = promisify(execFile)
const MODEL = fileURLToPath(new URL('claim-lease.pml', import.meta.url))

/** One exhaustive check may take so long, in ms. */
const TIMEOUT_MS = 180_000

/** What each variant of the model must show. `finds` is the assertion that must fail; without it none may. */
export const CHECKS = [
  { name: 'hold: at most one effect, whatever happens', macros: ['ONE_EFFECT'] },
  { name: 'rerun: one outcome, fences increase, stale owners change nothing', macros: ['RERUN'] },
  {
    name: 'transaction: exactly the effect that is recorded',
    macros: ['RERUN', 'TRANSACTION', 'ONE_EFFECT'],
  },
  { name: 'downstream key: at most one effect', macros: ['RERUN', 'DOWNSTREAM', 'ONE_EFFECT'] },
  {
    name: 'transaction: three workers',
    macros: ['RERUN', 'TRANSACTION', 'ONE_EFFECT', 'WORKERS=3', 'CALLS=1'],
  },
  {
    name: 'limit: rerun, where only the completion is fenced, can have two effects',
    macros: ['RERUN', 'ONE_EFFECT'],
    finds: 'effects<=1',
  },
  { name: 'limit: a lock alone can have two holders', macros: ['LOCK', 'ONE_HOLDER'], finds: 'inside<=1' },
  { name: 'fault: hold ignored', macros: ['ONE_EFFECT', 'IGNORE_HOLD'], finds: 'effects<=1' },
  {
    name: 'fault: work begun under a lapsed claim',
    macros: ['ONE_EFFECT', 'BEGIN_LATE'],
    finds: 'effects<=1',
  },
  {
    name: 'fault: reconcile blind to the fence',
    macros: ['ONE_EFFECT', 'BLIND_RESOLVE'],
    finds: 'effects<=1',
  },
  { name: 'fault: anybody completes', macros: ['RERUN', 'ANY_COMPLETES'], finds: 'mine==highest' },
  { name: 'fault: a takeover keeps the fence', macros: ['RERUN', 'SAME_FENCE'], finds: 'fence>highest' },
]

/**
 * Finds Spin and a C compiler: `TEST_SPIN`, the path, a private prefix made without root.
 *
 * @throws `Error` in one line where neither is to be had.
 */
export async function findTools(environment = process.env) {
  const path = environment['PATH'] ?? ''
  const compiler = (await onPath('gcc', path)) ?? (await onPath('cc', path))
  const cc = compiler && { command: compiler, flags: ['-O1', '-w'], source: 'the path' }
  const given = environment['TEST_SPIN']
  const spin = given ?? (await onPath('spin', path))
  const source = given ? 'TEST_SPIN' : 'the path'
  if (spin && cc) return { spin, source, cc }
  if (cc) {
    const { root } = await privatePrefix(['spin'])
    return { spin: join(root, 'usr/bin/spin'), source: 'a private prefix', cc }
  }
  // Where there is no compiler, a small one comes along with the headers it needs.
  const { root } = await privatePrefix(['spin', 'tcc', 'libc6-dev'], { complete: true })
  const machine = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  const flags = [
    `-B${root}/usr/lib/${machine}/tcc`,
    ...['usr/include', `usr/include/${machine}`].map((folder) => `-I${join(root, folder)}`),
    ...['usr/lib', 'lib'].map((folder) => `-L${join(root, folder, machine)}`),
  ]
  const tcc = { command: join(root, 'usr/bin/tcc'), flags, source: 'a private prefix' }
  return { spin: spin ?? join(root, 'usr/bin/spin'), source: spin ? source : 'a private prefix', cc: tcc }
}

/** Checks one variant exhaustively. */
export async function checkModel(tools, { name, macros, finds }) {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-spin-'))
  const inFolder = { cwd: folder, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }
  try {
    const { command, flags } = tools.cc
    const defines = macros.map((macro) => `-D${macro}`)
    // The compiler's preprocessor is used rather than the one Spin looks for, which may be missing.
    const { stdout: model } = await run(command, ['-E', '-P', ...defines, '-xc', MODEL], inFolder)
    await writeFile(join(folder, 'model.pml'), model)
    await run(tools.spin, ['-Pcat', '-a', 'model.pml'], inFolder)
    await run(command, [...flags, '-DSAFETY', '-DMEMLIM=4096', '-o', 'pan', 'pan.c'], inFolder)
    const startedAt = performance.now()
    const { stdout } = await run(join(folder, 'pan'), ['-m100000'], inFolder)
    const tookMs = Math.round(performance.now() - startedAt)
    return { name, tookMs, ...judge(stdout, finds) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function judge(output, finds) {
  const states = Number(/^\s*(\d+) states, stored/m.exec(output)?.[1] ?? 0)
  const found = /assertion violated \((.*)\) \(at depth/.exec(output)?.[1] ?? /pan:1: (.*)/.exec(output)?.[1]
  const errors = Number(/errors: (\d+)/.exec(output)?.[1] ?? -1)
  const whole = !/Search not completed|max search depth too small|out of memory/.test(output)
  const text = found?.replaceAll(/[\s()]/g, '')
  const good = finds === undefined ? errors === 0 && whole && states > 100 : errors > 0 && text === finds
  const found_ = found === undefined ? {} : { found }
  return { good, states, ...found_ }
}

async function main() {
  const required = process.argv.includes('--require-all') || process.env['ONCEWARD_REQUIRE_ALL'] === '1'
  let tools
  try {
    tools = await findTools()
  } catch (error) {
    console.log(`skipped: the model is not checked, because Spin is not to be had: ${error.message}`)
    return required ? 1 : 0
  }
  console.log(`spin from ${tools.source}, compiler from ${tools.cc.source}`)
  let failed = 0
  for (const check of CHECKS) {
    const { good, states, tookMs, found } = await checkModel(tools, check)
    if (!good) failed++
    const shown = found === undefined ? 'no assertion fails' : `fails: ${found}`
    console.log(`${good ? 'ok    ' : 'FAILED'} ${check.name} (${states} states, ${tookMs} ms, ${shown})`)
  }
  console.log(`${CHECKS.length - failed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main()
