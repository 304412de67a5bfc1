import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * Reads the numbers and switches a benchmark takes; a name it does not know is an error.
 *
 * @template {Record<string, number | boolean | string>} Defaults
 * @param {Defaults} defaults Say `--rounds 9` for `rounds`, `--full` for a switch.
 * @returns {Defaults}
 */
export function readOptions(defaults) {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [
      name,
      { type: /** @type {'string' | 'boolean'} */ (typeof value === 'boolean' ? 'boolean' : 'string') },
    ]),
  )
  const { values } = parseArgs({ options })
  const given = Object.entries(values).map(([name, value]) => {
    if (typeof defaults[name] !== 'number') return [name, value]
    if (!(Number(value) > 0)) throw new TypeError(`--${name} must be a number above 0, not ${value}`)
    return [name, Number(value)]
  })
  return { ...defaults, ...Object.fromEntries(given) }
}

/**
 * Gives `work` a folder on the disk of the repository (a memory disk would hide what a commit costs), then removes it.
 *
 * @template T
 * @param {(folder: string) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withFolder(work) {
  const cache = fileURLToPath(new URL('../.cache/', import.meta.url))
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'run-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
