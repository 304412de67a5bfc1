import { describe, expect, it } from 'vitest'
import { CHECKS, checkModel, findTools, type Tools } from './check.mjs'

/** Spin takes memory and a core: it gets this long, in ms. */
const TIMEOUT_MS = 200_000

const found: { readonly tools?: Tools; readonly reason?: string } = await findTools().then(
  (tools) => ({ tools }),
  (error: unknown) => ({ reason: error instanceof Error ? error.message : String(error) }),
)
if (found.reason !== undefined) console.log(`skipped: the model is not checked: ${found.reason}`)

describe('the model of the claim protocol', () => {
  it.runIf(process.env['ONCEWARD_REQUIRE_ALL'] === '1')('has a Spin to be checked with', () => {
    expect(found.reason).toBeUndefined()
  })

  describe.skipIf(found.tools === undefined)('in every reachable state', () => {
    it.each(CHECKS)('$name', { timeout: TIMEOUT_MS }, async (check) => {
      if (found.tools === undefined) return
      const verdict = await checkModel(found.tools, check)
      expect(verdict).toMatchObject({ good: true })
    })
  })
})
