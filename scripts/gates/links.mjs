/** Gate: every relative link in a document leads somewhere, headings included. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { filesBelow } from '../house/paths.mjs'

/** @type {import('./gate.mjs').Gate} */
export const links = {
  name: 'links',
  guards: 'no document points to a file, a test or a heading that is not there',
  async run(root) {
    const documents = filesBelow(root).filter((file) => file.endsWith('.md'))
    const problems = []
    let count = 0
    for (const file of documents) {
      const text = readFileSync(join(root, file), 'utf8')
      for (const { target, line } of linksOf(text)) {
        count++
        const why = refuse(root, file, target)
        if (why) problems.push(`${file}:${line} links to ${target}: ${why}`)
      }
    }
    return { problems, note: `${count} links in ${documents.length} documents` }
  },
}

/** @returns {string | undefined} Why the link is wrong. */
function refuse(/** @type {string} */ root, /** @type {string} */ file, /** @type {string} */ target) {
  const [path = '', heading] = target.split('#')
  const found = path === '' ? file : posix.join(posix.dirname(file), decodeURIComponent(path))
  if (found.startsWith('..')) return 'it leaves the repository'
  if (!existsSync(join(root, found))) return 'there is no such file'
  if (statSync(join(root, found)).size === 0) return 'the file is empty'
  if (heading === undefined || !found.endsWith('.md')) return undefined
  return headingsOf(readFileSync(join(root, found), 'utf8')).has(heading)
    ? undefined
    : 'there is no such heading'
}

/** Links and pictures with a relative target, outside of code. */
function linksOf(/** @type {string} */ text) {
  const found = []
  for (const [index, line] of withoutCode(text).entries()) {
    for (const [, target = ''] of line.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g))
      found.push({ target, line: index + 1 })
    for (const [, target = ''] of line.matchAll(/\b(?:src|href)="([^"]+)"/g))
      found.push({ target, line: index + 1 })
  }
  return found.filter(({ target }) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
}

/** The names under which headings can be linked to, as they are commonly made. */
function headingsOf(/** @type {string} */ text) {
  const names = new Set()
  for (const line of withoutCode(text, { keepInline: true })) {
    const title = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1]
    if (title === undefined) continue
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const name = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')
    let unique = name
    for (let copy = 1; names.has(unique); copy++) unique = `${name}-${copy}`
    names.add(unique)
  }
  return names
}

function withoutCode(/** @type {string} */ text, { keepInline = false } = {}) {
  let fence = ''
  return text.split('\n').map((line) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1] ?? ''
    if (fence === '' && mark !== '') {
      fence = mark
      return ''
    }
    if (fence !== '') {
      if (mark.startsWith(fence)) fence = ''
      return ''
    }
    return keepInline ? line : line.replace(/`[^`]*`/g, '')
  })
}
