import { AssertionError } from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { catalogConformance, runCases, storeConformance } from '../../src/testing/index.ts'
import { brokenCatalogs } from './broken-catalogs.ts'
import { brokenClaims } from './broken-claims.ts'
import { brokenDecisions } from './broken-decisions.ts'
import { brokenEnds } from './broken-ends.ts'
import { brokenHarness, type Flaw } from './broken-rig.ts'

const FLAWS: readonly Flaw[] = [...brokenClaims, ...brokenEnds, ...brokenDecisions, ...brokenCatalogs]
const MODEL = /agree with a model/

const casesOf = (flaw?: Flaw) => {
  const harness = brokenHarness(flaw)
  return [...storeConformance(harness), ...catalogConformance(harness)]
}

describe('the conformance suites', () => {
  it('pass the store that the broken ones are made of', async () => {
    const results = await runCases(casesOf())
    expect(results.filter((result) => result.state !== 'passed')).toEqual([])
  })

  it('are shown at least twelve flaws, each by another name', () => {
    expect(FLAWS.length).toBeGreaterThanOrEqual(12)
    expect(new Set(FLAWS.map((flaw) => flaw.name)).size).toBe(FLAWS.length)
  })

  it.each(FLAWS.map((flaw) => [flaw.name, flaw] as const))('reject %s, by its rule', async (_, flaw) => {
    const cases = casesOf(flaw).filter((one) => flaw.rule.test(one.name))
    expect(cases, 'a rule names a case').not.toEqual([])
    const failed = (await runCases(cases)).filter((result) => result.state === 'failed')
    expect(failed, `the flaw breaks ${flaw.rule}`).not.toEqual([])
    for (const { error } of failed) expect(error).toBeInstanceOf(AssertionError)
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
    if (result?.state === 'failed') expect(String(result.error)).toContain('the store and the model disagree')
  })
})
