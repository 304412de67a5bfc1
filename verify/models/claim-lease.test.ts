import { describe, expect, it } from 'vitest'
import { CHECKS, checkModel, findTools, type Tools } from './check.mjs'

/** Spin takes memory and a core: it gets this long, in ms. */
const TIMEOUT_MS = 200_000

const found: { readonly tools?: Tools; readonly reason?: string } = await findTools().then(
  (tools) => ({ tools }),
  (error: unknown) => ({ reason: error instanceof Error ? error.message : String(error) }),
)

describe('the model of the claim protocol', () => {
  if (process.env['ONCEWARD_REQUIRE_ALL'] === '1') {
    it('has a Spin to be checked with', () => {
      expect(found.reason).toBeUndefined()
    })
  }

  describe('in every reachable state', () => {
    const why =
      found.tools === undefined ? ` [skipped: Spin is not installed: ${found.reason ?? 'unknown'}]` : ''
    for (const check of CHECKS) {
      it.skipIf(found.tools === undefined)(`${check.name}${why}`, { timeout: TIMEOUT_MS }, async () => {
        if (found.tools === undefined) return
        const verdict = await checkModel(found.tools, check)
        expect(verdict).toMatchObject({ good: true })
      })
    }
  })
})
