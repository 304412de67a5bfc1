import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { staleQuotes } from '../../bench/lib/quotes.mjs'

const page = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8')

describe('docs/performance.md', () => {
  it('quotes its tables as they were measured', () => {
    expect(staleQuotes(page)).toEqual([])
  })

  it('is found out when a figure in a quote was changed', () => {
    const forged = page.replace(/(<!-- quote [\s\S]*?\| )([\d,]+) \(/, '$11$2 (')
    expect(forged).not.toBe(page)
    expect(staleQuotes(forged)).toHaveLength(1)
  })

  it('is found out when it quotes what was never measured', () => {
    const forged = page.replace(/<!-- quote [\w-]+:/, '<!-- quote nothing:')
    expect(staleQuotes(forged)).toEqual(['bench/results/nothing.md has no "In short"'])
  })
})
