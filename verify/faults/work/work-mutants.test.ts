import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { editsOf } from '../harness/mutants.ts'
import { WORK_MUTANTS } from './work-mutants.ts'

const LIBRARY = fileURLToPath(new URL('../../../packages/onceward/dist/', import.meta.url))

describe('the faults put into tokens, tasks, inbox, outbox, dedupe and SQL guards', () => {
  it('are at least twenty, each by another name', () => {
    expect(WORK_MUTANTS.length).toBeGreaterThanOrEqual(20)
    expect(new Set(WORK_MUTANTS.map(({ name }) => name)).size).toBe(WORK_MUTANTS.length)
  })

  it.each(WORK_MUTANTS.map((mutant) => [mutant.lane, mutant.name, mutant] as const))(
    'fit the library in one place: %s: %s',
    (_lane, _name, mutant) => {
      for (const { file, find } of editsOf(mutant)) {
        const places = readFileSync(LIBRARY + file, 'utf8').split(find).length - 1
        expect(places, `${file} has this text in ${places} places: ${find}`).toBe(1)
      }
    },
  )
})
