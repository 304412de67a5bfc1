import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const RESULTS = new URL('../results/', import.meta.url)
const PAGE = new URL('../../docs/performance.md', import.meta.url)

/** A quote: a comment that names a file of `bench/results` and a heading in it, the quoted text, and a comment that ends it. */
const QUOTE = /(<!-- quote ([\w-]+): (.+?) -->\n)([\s\S]*?)(<!-- end of quote -->)/g

/**
 * Writes the tables that `docs/performance.md` quotes anew from `bench/results`.
 *
 * @returns {string[]} What cannot be quoted.
 */
export function refreshQuotes() {
  if (!existsSync(PAGE)) return []
  const { text, problems } = quoted(readFileSync(PAGE, 'utf8'))
  writeFileSync(PAGE, text)
  return problems
}

/**
 * Looks whether what the page quotes is what was measured.
 *
 * @param {string} [page] The text of the page. Default: that of `docs/performance.md`.
 * @returns {string[]} The quotes that are not, and those without a source.
 */
export function staleQuotes(page = readFileSync(PAGE, 'utf8')) {
  const { problems, changed, count } = quoted(page)
  if (count === 0) return ['the page quotes nothing']
  return [
    ...problems,
    ...changed.map((quote) => `${quote} differs from what was measured: run node bench/quote.mjs`),
  ]
}

/** @param {string} page */
function quoted(page) {
  /** @type {string[]} */
  const problems = []
  /** @type {string[]} */
  const changed = []
  let count = 0
  const text = page.replace(QUOTE, (whole, start, name, heading, old, end) => {
    count += 1
    const found = sectionOf(name, heading)
    if (found === undefined) {
      problems.push(`bench/results/${name}.md has no "${heading}"`)
      return whole
    }
    if (found !== old) changed.push(`"${heading}" of ${name}`)
    return `${start}${found}${end}`
  })
  return { text, problems, changed, count }
}

/** @param {string} name @param {string} heading @returns {string | undefined} */
function sectionOf(name, heading) {
  const file = new URL(`${name}.md`, RESULTS)
  if (!existsSync(fileURLToPath(file))) return undefined
  const [, when = '', ...rest] = readFileSync(file, 'utf8').split('\n\n')
  const sections = rest.join('\n\n').split(/^## /m)
  const section = sections.find((text) => text.startsWith(`${heading}\n`))
  if (section === undefined) return undefined
  const body = section.slice(heading.length).trim()
  return `\n[${name}](../bench/results/${name}.md). ${when.trim()}\n\n${body}\n\n`
}
