import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { editsOf } from '../harness/mutants.ts'
import { LOCK_MUTANTS } from './lock-mutants.ts'

const LIBRARY = fileURLToPath(new URL('../../../packages/onceward/dist/', import.meta.url))

describe('the faults put into locks', () => {
  it('are at least twelve, each by another name', () => {
    expect(LOCK_MUTANTS.length).toBeGreaterThanOrEqual(12)
    expect(new Set(LOCK_MUTANTS.map(({ name }) => name)).size).toBe(LOCK_MUTANTS.length)
  })

  it.each(LOCK_MUTANTS.map((mutant) => [mutant.store, mutant.name, mutant] as const))(
    'fit the library in one place: %s: %s',
    (_store, _name, mutant) => {
      for (const { file, find } of editsOf(mutant)) {
        const places = readFileSync(LIBRARY + file, 'utf8').split(find).length - 1
        expect(places, `${file} has this text in ${places} places: ${find}`).toBe(1)
      }
    },
  )
})
