import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { editsOf } from './harness/mutants.ts'
import { MUTANTS } from './mutants.ts'

const LIBRARY = fileURLToPath(new URL('../../packages/onceward/dist/', import.meta.url))

describe('the faults put into the library', () => {
  it.each(MUTANTS.map((mutant) => [mutant.store, mutant.name, mutant] as const))(
    'fit it in one place: %s: %s',
    (_store, _name, mutant) => {
      for (const { file, find } of editsOf(mutant)) {
        const places = readFileSync(LIBRARY + file, 'utf8').split(find).length - 1
        expect(places, `${file} has this text in ${places} places: ${find}`).toBe(1)
      }
    },
  )
})
