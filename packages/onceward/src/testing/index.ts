export { catalogConformance } from './catalog-conformance.ts'
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
export { httpConformance } from './http-conformance.ts'
export { gatewayConformance } from './http-gateway-cases.ts'
export type {
  AppRequest,
  AppResponse,
  HttpApplication,
  HttpCapability,
  HttpConformanceOptions,
  HttpSetup,
  HttpSetupOptions,
  HttpTarget,
  StartHttp,
} from './http-target.ts'
export { lockConformance } from './lock-conformance.ts'
export type { LockHarness, OpenedLocks } from './lock-harness.ts'
export { storeConformance } from './store-conformance.ts'
export type { OpenedStore, StoreHarness } from './store-harness.ts'
export {
  type CallerTransaction,
  type Isolation,
  type OpenedTransactionalStore,
  type TransactionAbility,
  type TransactionHarness,
  transactionConformance,
} from './transaction-conformance.ts'
