import type { ConformanceCase } from './conformance-case.ts'
import { bindCases, type HttpCase } from './http-bench.ts'
import { bodyCases } from './http-body-cases.ts'
import { connectionCases } from './http-connection-cases.ts'
import { failureCases } from './http-failure-cases.ts'
import { functionCases } from './http-function-cases.ts'
import { identityCases } from './http-identity-cases.ts'
import { keyCases } from './http-key-cases.ts'
import { largeCases } from './http-large-cases.ts'
import { limitCases } from './http-limit-cases.ts'
import { replayCases } from './http-replay-cases.ts'
import { shapeCases } from './http-shape-cases.ts'
import { storeCases } from './http-store-cases.ts'
import type { HttpConformanceOptions, StartHttp } from './http-target.ts'
import { waitingCases } from './http-waiting-cases.ts'

const CASES: readonly HttpCase[] = [
  ...keyCases,
  ...identityCases,
  ...replayCases,
  ...shapeCases,
  ...largeCases,
  ...failureCases,
  ...waitingCases,
  ...limitCases,
  ...bodyCases,
  ...storeCases,
  ...connectionCases,
  ...functionCases,
]

/**
 * What every idempotency middleware and gateway must do, seen from outside over real sockets: every row of the table
 * in DESIGN.md §6 and every break known of others. Each case starts the target afresh and closes it.
 *
 * Limit: what happens inside one process is seen; crashes of processes are played by a store that is cut off.
 *
 * @param start - Puts an application behind the target and starts it with an empty store.
 * @param options.without - What the target cannot be asked for, with the reason: those cases are skipped.
 * @example
 * registerCases(it, httpConformance(startExpress))
 */
export function httpConformance(
  start: StartHttp,
  options: HttpConformanceOptions = {},
): readonly ConformanceCase[] {
  return bindCases(CASES, start, options)
}
