/**
 * Gate: what `import 'onceward'` loads stays small, measured as a user's bundler ships it: one file, minified, gzipped.
 * The target is 12 kB; the budget is what we keep from growing until the target is met (docs/adr/0010).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const BUDGET_BYTES = 17_800

/** @type {import('./gate.mjs').Gate} */
export const coreSize = {
  name: 'core size',
  guards: `what "onceward" loads: at most ${BUDGET_BYTES / 1000} kB, bundled, minified and gzipped`,
  async run(root) {
    const input = join(root, 'packages/onceward/dist/core/index.js')
    const bundle = await rolldown({ input, external: /^node:/, platform: 'node' })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const [{ code, moduleIds }] = output
    const raw = gzipSync(moduleIds.map((file) => readFileSync(file, 'utf8')).join('')).length
    const bytes = gzipSync(code, { level: 9 }).length
    const note = `${kB(bytes)} minified and gzipped; ${moduleIds.length} files, ${kB(raw)} gzipped as installed`
    return bytes <= BUDGET_BYTES
      ? { problems: [], note }
      : { problems: [`${note}; the budget is ${kB(BUDGET_BYTES)}`] }
  },
}

function kB(/** @type {number} */ bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`
}
