import type { OperationStore } from '../core/store.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { modelCase } from './model/model-case.ts'
import { claimCases } from './store-cases/claims.ts'
import { fenceCases } from './store-cases/fences.ts'
import { heldCases } from './store-cases/held.ts'
import { identityCases } from './store-cases/identities.ts'
import { inputCases } from './store-cases/inputs.ts'
import { lapseCases } from './store-cases/lapses.ts'
import { outcomeCases } from './store-cases/outcomes.ts'
import { staleOwnerCases } from './store-cases/stale-owners.ts'
import { turnCases } from './store-cases/turns.ts'
import { watchCases } from './store-cases/watching.ts'
import { bindCases, type StoreHarness } from './store-harness.ts'

/**
 * The rules every `OperationStore` keeps, as cases for any test runner.
 *
 * Limit: it asks one process over several connections; crashes of processes and servers are for a fault harness.
 *
 * @example
 * registerCases(it, storeConformance({ capabilities, open: async () => ({ stores: [a, b], close }) }))
 */
export function storeConformance<S extends OperationStore>(
  harness: StoreHarness<S>,
): readonly ConformanceCase[] {
  return bindCases(harness, [
    ...claimCases,
    ...inputCases,
    ...staleOwnerCases,
    ...lapseCases,
    ...fenceCases,
    ...heldCases,
    ...turnCases,
    ...outcomeCases,
    ...identityCases,
    ...watchCases,
    modelCase(harness.model),
  ])
}
