import type { CatalogStore } from './catalog-cases/catalog-kit.ts'
import { listingCases } from './catalog-cases/listing.ts'
import { upkeepCases } from './catalog-cases/upkeep.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { bindCases, type StoreCase, type StoreHarness, unlessListing } from './store-harness.ts'

/**
 * The rules every `OperationCatalog` keeps, as cases for any test runner. Skipped, with the reason, for a store that
 * declares no listing.
 *
 * Limit: it looks at small catalogs; how listing behaves with 10^6 records is for a benchmark.
 */
export function catalogConformance<S extends CatalogStore>(
  harness: StoreHarness<S>,
): readonly ConformanceCase[] {
  const cases: readonly StoreCase<CatalogStore>[] = [...listingCases, ...upkeepCases]
  return bindCases<S>(
    harness,
    cases.map((one) => ({
      ...one,
      unless: (capabilities) => unlessListing(capabilities) ?? one.unless?.(capabilities),
    })),
  )
}
