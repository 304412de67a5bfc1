import type { OperationId } from '../../core/operation.ts'
import type { Shard } from './shard.ts'

/** Where a claim was granted. */
export interface Grant {
  readonly home: Shard
  readonly fence: number
}

/** Remembers where claims were granted, so that what follows goes there and nowhere else. */
export interface GrantedHomes {
  get(id: OperationId, owner: string): Grant | undefined
  set(id: OperationId, owner: string, grant: Grant): void
  delete(id: OperationId, owner: string): void
}

/** The most claims remembered. A forgotten one costs a question to each home. */
const MOST = 10_000

/** Makes an empty memory; the oldest go first. */
export function grantedHomes(): GrantedHomes {
  const grants = new Map<string, Grant>()
  const keyOf = (id: OperationId, owner: string) => `${id.digest}/${owner}`
  return {
    get: (id, owner) => grants.get(keyOf(id, owner)),
    set(id, owner, grant) {
      grants.set(keyOf(id, owner), grant)
      for (const oldest of grants.keys()) {
        if (grants.size <= MOST) break
        grants.delete(oldest)
      }
    },
    delete: (id, owner) => void grants.delete(keyOf(id, owner)),
  }
}
