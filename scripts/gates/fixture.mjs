import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CACHE } from '../house/paths.mjs'

/**
 * Makes a small tree of files and hands it to `work`: below the repository's cache, where installed packages are found,
 * or `apart` from the repository, where git and its ignore list do not reach.
 *
 * @template T
 * @param {Record<string, string | object>} files Objects are written as JSON.
 * @param {(root: string) => Promise<T> | T} work
 * @param {{ apart?: boolean }} [options]
 * @returns {Promise<T>}
 */
export async function withFixture(files, work, { apart = false } = {}) {
  const parent = apart ? tmpdir() : join(CACHE, 'fixtures')
  mkdirSync(parent, { recursive: true })
  const root = mkdtempSync(join(parent, 'onceward-'))
  try {
    for (const [file, content] of Object.entries(files)) {
      const path = join(root, file)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    }
    return await work(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
