/** Gate: a file can be read in one sitting. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow } from '../house/paths.mjs'

const MOST_LINES = 300

/** Longer by their nature, each with the reason and a limit of its own. */
const LONGER = /** @type {Record<string, number>} */ ({
  // Every transition of a record, side by side: they are read against each other.
  'packages/onceward/src/core/transitions.ts': 320,
  // A table: the plans that once found a fault.
  'verify/simulation/regressions.ts': 800,
})

/** @type {import('./gate.mjs').Gate} */
export const fileLength = {
  name: 'file length',
  guards: `no source above ${MOST_LINES} lines, tests half as long again`,
  async run(root) {
    const files = ['packages', 'verify', 'bench', 'examples', 'scripts', 'test-servers']
      .flatMap((folder) => filesBelow(join(root, folder), { base: root }))
      .filter((file) => /\.(?:ts|tsx|mjs|js)$/.test(file))
    const counted = files.map((file) => ({
      file,
      lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1,
    }))
    const limitOf = (/** @type {string} */ file) =>
      LONGER[file] ?? (/\.test\.m?[jt]s$|^packages\/[^/]+\/test\//.test(file) ? MOST_LINES * 1.5 : MOST_LINES)
    const problems = counted
      .filter(({ file, lines }) => lines > limitOf(file))
      .map(({ file, lines }) => `${file} has ${lines} lines, the most is ${limitOf(file)}`)
    const longest = counted.reduce((most, { lines }) => Math.max(most, lines), 0)
    return { problems, note: `${counted.length} files, the longest has ${longest} lines` }
  },
}
