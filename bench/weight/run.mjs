// What the library weighs: time to import, size to install, size that a bundle gets.
//
//   node bench/weight/run.mjs [--runs 20]
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { coreSize } from '../../scripts/gates/core-size.mjs'
import { interleave } from '../lib/interleave.mjs'
import { readOptions } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { number, withRange } from '../lib/statistics.mjs'

const options = readOptions({ runs: 20 })
const root = fileURLToPath(new URL('../../', import.meta.url))
const library = join(root, 'packages/onceward')
const entries = [
  'onceward',
  'onceward/key',
  'onceward/sqlite',
  'onceward/http',
  'onceward/express',
  'onceward/fastify',
]

const samples = await interleave(['node:http', ...entries], options.runs, async (entry) => importMs(entry))
const { note, problems } = await coreSize.run(root)
const manifest = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'))

report('weight', 'What the library weighs', [
  `Import: a process of its own each time, from before the import to after it, in ms; median of ${options.runs} with ` +
    'its range. `node:http`, which every web service has loaded anyway, is there to compare with.',
  '## Import',
  table(
    ['import', 'ms'],
    [...samples].map(([entry, times]) => [`\`${entry}\``, withRange(times, 1)]),
  ),
  '## Size',
  table(
    ['size', ''],
    [
      ['runtime dependencies', String(Object.keys(manifest.dependencies ?? {}).length)],
      ['what `onceward` loads', note ?? problems.join('; ')],
      ['packed', packed()],
      ['unpacked JavaScript', `${number(javaScriptBytes(join(library, 'dist')) / 1024)} KiB`],
    ],
  ),
])

/** @param {string} entry */
function importMs(entry) {
  const code = `const t = performance.now(); await import('${entry}'); process.stdout.write(String(performance.now() - t))`
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: root, encoding: 'utf8' }),
  )
}

function packed() {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: library,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ size, unpackedSize, entryCount }] = JSON.parse(output)
  return `${number(size / 1024)} KiB (${number(unpackedSize / 1024)} KiB unpacked, ${entryCount} files)`
}

/** @param {string} folder @returns {number} */
function javaScriptBytes(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}
