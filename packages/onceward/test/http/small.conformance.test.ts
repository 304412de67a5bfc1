import { describe, it } from 'vitest'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { startSmall } from './small-middleware.ts'

const NO_STORE = 'it has no store of its own'

describe('a small middleware written without the library', () => {
  registerCases(
    it,
    httpConformance(startSmall(), {
      without: {
        store: NO_STORE,
        quota: 'it has none',
        maxWaiters: 'it has none',
        canonicalJson: 'it compares bytes',
        userFunctions: 'it is given none',
      },
    }),
  )
})
