import { readdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Where the scripts keep what can be thrown away. */
export const CACHE = join(ROOT, '.cache')

const NEVER = new Set(['node_modules', 'dist', '.git', '.cache', '.onceward', 'coverage'])

/**
 * Lists the files below `folder` in a stable order, as paths relative to `base` with forward slashes.
 * Leaves out what is installed, built or cached.
 *
 * @param {string} folder
 * @param {{ base?: string, into?: readonly string[] }} [options] `into` names folders to enter all the same.
 * @returns {string[]}
 */
export function filesBelow(folder, { base = folder, into = [] } = {}) {
  const found = []
  const visit = (/** @type {string} */ current) => {
    let entries
    try {
      entries = readdirSync(current, { withFileTypes: true })
    } catch (error) {
      // Somebody may remove a folder while we look.
      if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return
      throw error
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(current, entry.name)
      if (entry.isDirectory()) {
        if (!NEVER.has(entry.name) || into.includes(entry.name)) visit(path)
      } else if (entry.isFile()) {
        found.push(relative(base, path).split(sep).join('/'))
      }
    }
  }
  visit(folder)
  return found
}
