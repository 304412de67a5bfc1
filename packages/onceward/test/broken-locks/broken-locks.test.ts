import { AssertionError } from 'node:assert/strict'
import { describe, expect, it, vi } from 'vitest'
import { lockConformance, runCases } from '../../src/testing/index.ts'
import { brokenHands } from './broken-hands.ts'
import { brokenHolders } from './broken-holders.ts'
import { brokenLines } from './broken-lines.ts'
import { brokenPlaces } from './broken-places.ts'
import { brokenLocks, type LockFlaw } from './broken-rig.ts'

// Five hundred random sequences are a lot of work for a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const FLAWS: readonly LockFlaw[] = [...brokenHolders, ...brokenLines, ...brokenPlaces, ...brokenHands]
const MODEL = /agree with the rules/

const casesOf = (flaw?: LockFlaw) => lockConformance(brokenLocks(flaw))

describe('the conformance suite of locks', () => {
  it('passes the locks that the broken ones are made of', async () => {
    const results = await runCases(casesOf())
    expect(results.filter((result) => result.state !== 'passed')).toEqual([])
  })

  it('is shown at least fifteen flaws, each by another name', () => {
    expect(FLAWS.length).toBeGreaterThanOrEqual(15)
    expect(new Set(FLAWS.map((flaw) => flaw.name)).size).toBe(FLAWS.length)
  })

  it('has no case that no flaw breaks', () => {
    const unproven = casesOf().filter((one) => !FLAWS.some((flaw) => flaw.rule.test(one.name)))
    expect(unproven.map((one) => one.name).filter((name) => !MODEL.test(name))).toEqual([])
  })

  it.each(FLAWS.map((flaw) => [flaw.name, flaw] as const))('rejects %s, by its rule', async (_, flaw) => {
    const cases = casesOf(flaw).filter((one) => flaw.rule.test(one.name))
    expect(cases, 'a rule names a case').not.toEqual([])
    for (const result of await runCases(cases)) {
      expect(result.state, `the flaw breaks “${result.name}”`).toBe('failed')
      if (result.state === 'failed') expect(result.error).toBeInstanceOf(AssertionError)
    }
  })
})

describe('the random sequences', () => {
  const found = FLAWS.filter((flaw) => flaw.model)

  it('are shown at least twelve flaws', () => {
    expect(found.length).toBeGreaterThanOrEqual(12)
  })

  it.each(found.map((flaw) => [flaw.name, flaw] as const))('find %s', async (_, flaw) => {
    const cases = casesOf(flaw).filter((one) => MODEL.test(one.name))
    const [result] = await runCases(cases)
    expect(result?.state).toBe('failed')
    if (result?.state === 'failed') {
      expect(String(result.error)).toContain('the backend and the rules disagree')
    }
  })
})
