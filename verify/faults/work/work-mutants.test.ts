import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { WORK_MUTANTS } from './work-mutants.ts'

const LIBRARY = fileURLToPath(new URL('../../../packages/onceward/dist/', import.meta.url))

describe('the faults put into tokens, tasks, inbox and outbox', () => {
  it('are at least twelve, each by another name', () => {
    expect(WORK_MUTANTS.length).toBeGreaterThanOrEqual(12)
    expect(new Set(WORK_MUTANTS.map(({ name }) => name)).size).toBe(WORK_MUTANTS.length)
  })

  it.each(WORK_MUTANTS.map((mutant) => [mutant.lane, mutant.name, mutant] as const))(
    'fit the library in one place: %s: %s',
    (_lane, _name, { edits }) => {
      for (const { file, find } of edits) {
        const places = readFileSync(LIBRARY + file, 'utf8').split(find).length - 1
        expect(places, `${file} has this text in ${places} places: ${find}`).toBe(1)
      }
    },
  )
})
