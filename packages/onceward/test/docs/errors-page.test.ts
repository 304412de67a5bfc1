import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ERRORS } from '../../src/core/errors.ts'

const PAGE = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8')

/** The rows of the table, by code. */
const rows = new Map(
  PAGE.split('\n')
    .filter((line) => /^\| `[A-Z_]+` \|/.test(line))
    .map((line) => {
      const [code = '', status, retryable, effect, summary, mend] = line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
      return [code.replaceAll('`', ''), { status, retryable, effect, summary, mend }]
    }),
)

it('docs/errors.md has a row for every code, and none for a code that is not there', () => {
  expect([...rows.keys()].sort()).toEqual(Object.keys(ERRORS).sort())
})

it.each(Object.entries(ERRORS))('docs/errors.md tells %s as it is', (code, entry) => {
  const { mend, ...row } = rows.get(code) ?? {}
  expect(row).toEqual({
    status: String(entry.status),
    retryable: entry.retryable ? 'yes' : 'no',
    effect: entry.effect,
    summary: entry.summary,
  })
  expect(mend, 'what to do').toBeTruthy()
})
