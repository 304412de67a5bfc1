/** What the transaction of one call writes besides the record: a row, and one unit onto each of two accounts. */
export interface BusinessWrite {
  readonly scope: string
  readonly key: string
  readonly call: string
  readonly fence: number
  readonly nonce: string
  /** In the order in which they are to be locked. */
  readonly accounts: readonly [string, string]
}

/** Writes it on the transaction's handle; a synchronous driver answers nothing. */
export type WriteBusiness = (tx: never, write: BusinessWrite) => Promise<void> | undefined

/** Names an account of one trial. */
export function accountOf(run: string, seed: number, index: number): string {
  return `${run}.${seed}.${index}`
}

/** The business tables, for every database alike. */
export const BUSINESS_TABLES = [
  'CREATE TABLE IF NOT EXISTS faults_rows (scope VARCHAR(100) NOT NULL, op_key VARCHAR(100) NOT NULL, call_id VARCHAR(100) NOT NULL, fence BIGINT NOT NULL, nonce VARCHAR(100) NOT NULL)',
  'CREATE TABLE IF NOT EXISTS faults_accounts (id VARCHAR(100) NOT NULL PRIMARY KEY, amount BIGINT NOT NULL)',
] as const
