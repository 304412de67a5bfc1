import { describe, expect, it } from 'vitest'
import type { Turn } from '../lock-transitions.ts'
import { nameOf, proven, readTurn, toldTurn, writeTurn } from './told-turns.ts'

const granted = { round: 3, fence: 1_780_000_000_000_123 }

const wordOf = (turn: Turn): string => writeTurn(toldTurn(turn))

describe('what PostgreSQL tells of turns', () => {
  it('shows a token to nobody', () => {
    expect(wordOf({ token: 'secret', granted })).not.toContain('secret')
    expect(wordOf({ token: 'secret' })).not.toContain('secret')
  })

  it('tells the holder of the token of its grant', () => {
    const told = readTurn(wordOf({ token: 'secret', granted }))
    expect(told.name).toBe(nameOf('secret'))
    expect(proven('secret', told.granted)).toEqual(granted)
  })

  it('takes no grant from one who does not know the token', () => {
    const word = wordOf({ token: 'secret', granted })
    const proof = word.split(':')[3]
    const made = [`${nameOf('secret')}:3:4:${proof}`, `${nameOf('secret')}:4:${granted.fence}:${proof}`]
    for (const forged of [...made, `${nameOf('secret')}:3:4:`, `${nameOf('secret')}:3:4`]) {
      expect(proven('secret', readTurn(forged).granted)).toBeUndefined()
      expect(readTurn(forged).name).toBe(nameOf('secret'))
    }
  })

  it('only tells the turn where a mark belongs to the grant', () => {
    expect(wordOf({ token: 'secret', granted: { ...granted, mark: 'a mark' } })).toBe(nameOf('secret'))
  })

  it('fits ninety times into a payload', () => {
    const most = { round: 999_999, fence: Number.MAX_SAFE_INTEGER }
    expect(90 * (wordOf({ token: 'secret', granted: most }).length + 1)).toBeLessThan(8000)
  })
})
