export {
  type CaseResult,
  type ConformanceCase,
  type RegisterTest,
  registerCases,
  runCases,
} from './conformance-case.ts'
export {
  type Fault,
  type FaultMethod,
  type FaultPlan,
  type FaultPoint,
  type FaultPoints,
  type FaultPointsOptions,
  faultPoints,
} from './fault-points.ts'
export { storeConformance } from './store-conformance.ts'
export type { OpenedStore, StoreHarness } from './store-harness.ts'
