/** Gate: what `import 'onceward'` loads stays small. */
import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { gzipSync } from 'node:zlib'
import ts from 'typescript-6'
import { importsOf } from './imports.mjs'

/** 12 kB, gzipped, comments taken out, not minified. */
const BUDGET_BYTES = 12_000

/** @type {import('./gate.mjs').Gate} */
export const coreSize = {
  name: 'core size',
  guards: `what "onceward" loads: at most ${BUDGET_BYTES / 1000} kB gzipped without comments`,
  async run(root) {
    const dist = join(root, 'packages/onceward/dist')
    const files = reachable(dist, 'core/index.js')
    const texts = files.map((file) => readFileSync(join(dist, file), 'utf8'))
    const code = texts.map(withoutComments).join('')
    const bytes = gzipSync(code, { level: 9 }).length
    const raw = gzipSync(texts.join(''), { level: 9 }).length
    const note = `${kB(bytes)} gzipped in ${files.length} files (${kB(raw)} with comments)`
    return bytes <= BUDGET_BYTES
      ? { problems: [], note }
      : { problems: [`${note}; the budget is ${kB(BUDGET_BYTES)}`] }
  },
}

/** The files that are loaded with `entry`, itself first. */
function reachable(/** @type {string} */ folder, /** @type {string} */ entry) {
  const files = new Set([entry])
  for (const file of files) {
    for (const { specifier, dynamic } of importsOf(join(folder, file))) {
      if (!dynamic && specifier?.startsWith('.')) files.add(posix.join(posix.dirname(file), specifier))
    }
  }
  return [...files]
}

/** Comments are for whoever reads the sources: every bundler takes them out. */
function withoutComments(/** @type {string} */ code) {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: true },
  })
  return outputText
}

function kB(/** @type {number} */ bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`
}
