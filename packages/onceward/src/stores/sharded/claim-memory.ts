import type { OperationId } from '../../core/operation.ts'

/** What a process remembers of its own claims, by operation and nonce. */
export interface ClaimMemory<T> {
  get(id: OperationId, owner: string): T | undefined
  set(id: OperationId, owner: string, value: T): void
  delete(id: OperationId, owner: string): void
}

/** The most claims remembered; the oldest go first. */
const MOST = 10_000

/** Makes an empty memory. */
export function claimMemory<T>(): ClaimMemory<T> {
  const claims = new Map<string, T>()
  const keyOf = (id: OperationId, owner: string) => `${id.digest}/${owner}`
  return {
    get: (id, owner) => claims.get(keyOf(id, owner)),
    set(id, owner, value) {
      claims.set(keyOf(id, owner), value)
      for (const oldest of claims.keys()) {
        if (claims.size <= MOST) break
        claims.delete(oldest)
      }
    },
    delete: (id, owner) => void claims.delete(keyOf(id, owner)),
  }
}
