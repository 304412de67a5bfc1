import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { refreshQuotes } from './quotes.mjs'

/**
 * Writes a table in Markdown.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly (string | number)[])[]} rows
 */
export function table(head, rows) {
  const lines = [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** When and on what this was measured. */
export function machine() {
  const model = cpus()[0]?.model ?? 'unknown processor'
  const date = new Date().toISOString().slice(0, 10)
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${date}, Node ${process.version}, ${cpus().length} × ${model}, ${memory} GiB, ${process.platform}`
}

/**
 * Prints a report, keeps it as `bench/results/NAME.md`, and brings what `docs/performance.md` quotes of it up to date.
 *
 * @param {string} name
 * @param {string} title
 * @param {readonly string[]} parts
 */
export function report(name, title, parts) {
  const text = [`# ${title}`, `Measured on ${machine()}.`, ...parts].join('\n\n')
  const folder = join(fileURLToPath(new URL('../results', import.meta.url)))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.md`), `${text}\n`)
  refreshQuotes()
  console.log(`\n${text}\n`)
}
