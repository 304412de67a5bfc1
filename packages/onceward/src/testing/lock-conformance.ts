import type { ConformanceCase } from './conformance-case.ts'
import { basicCases } from './lock-cases/basics.ts'
import { extendCases } from './lock-cases/extends.ts'
import { fenceCases } from './lock-cases/fences.ts'
import { forcedCases } from './lock-cases/forced.ts'
import { grantCases } from './lock-cases/grants.ts'
import { markCases } from './lock-cases/marks.ts'
import { lockModelCase } from './lock-cases/model-case.ts'
import { placeGrantCases } from './lock-cases/place-grants.ts'
import { placeCases } from './lock-cases/places.ts'
import { releaseCases } from './lock-cases/releases.ts'
import { sharedCases } from './lock-cases/shared.ts'
import { transferCases } from './lock-cases/transfers.ts'
import { viewCases } from './lock-cases/views.ts'
import { wakeCases } from './lock-cases/wakes.ts'
import { bindLockCases, type LockHarness } from './lock-harness.ts'

/**
 * The rules every `LockBackend` keeps, as cases for any test runner.
 *
 * Limit: it asks one process over several connections; pauses, crashes and partitions are for a fault harness.
 *
 * @example
 * const { capabilities } = one
 * registerCases(it, lockConformance({ capabilities, open: async () => ({ backends: [one, other], close }) }))
 */
export function lockConformance(harness: LockHarness): readonly ConformanceCase[] {
  return bindLockCases(harness, [
    ...basicCases(harness.capabilities),
    ...grantCases,
    ...extendCases,
    ...releaseCases,
    ...fenceCases,
    ...placeCases,
    ...placeGrantCases,
    ...sharedCases,
    ...wakeCases,
    ...transferCases,
    ...forcedCases,
    ...markCases,
    ...viewCases,
    lockModelCase(harness.model),
  ])
}
