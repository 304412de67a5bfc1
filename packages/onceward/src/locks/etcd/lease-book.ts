import type { EtcdClient } from '../../drivers/etcd/index.ts'

/** What this process remembers of a grant of its own, so that it need not ask. */
export interface HeldLease {
  readonly path: string
  readonly lease: string
  readonly seconds: number
  readonly meta?: string
}

/** Keeps account of the leases that this process has made. */
export interface LeaseBook {
  readonly held: Map<string, HeldLease>
  /**
   * Runs a step that writes with a lease. Until its answer is there, the lease is in doubt: a step that is still on its way
   * can only be kept from taking effect by ending its lease.
   */
  during<T>(token: string, lease: string, step: () => Promise<T>): Promise<T>
  /** Ends what a token has in doubt, for good. */
  settle(token: string): Promise<void>
  /** Ends leases that keep nothing any more, without waiting. One that cannot be ended lapses by itself. */
  drop(leases: Iterable<string | undefined>): void
  /** Waits for what `drop` has begun. */
  close(): Promise<void>
}

/** Makes an empty book. */
export function leaseBook(etcd: EtcdClient): LeaseBook {
  const held = new Map<string, HeldLease>()
  const doubts = new Map<string, Set<string>>()
  const dropping = new Set<Promise<void>>()

  function forget(token: string, lease: string): void {
    const leases = doubts.get(token)
    leases?.delete(lease)
    if (leases?.size === 0) doubts.delete(token)
  }

  return {
    held,
    async during(token, lease, step) {
      doubts.set(token, (doubts.get(token) ?? new Set()).add(lease))
      const answer = await step()
      forget(token, lease)
      return answer
    },
    async settle(token) {
      const leases = [...(doubts.get(token) ?? [])]
      await Promise.all(leases.map((lease) => etcd.revoke(lease).then(() => forget(token, lease))))
    },
    drop(leases) {
      for (const lease of leases) {
        if (lease === undefined) continue
        const ended = etcd.revoke(lease).catch(() => {})
        dropping.add(ended)
        void ended.then(() => dropping.delete(ended))
      }
    },
    async close() {
      await Promise.all(dropping)
    },
  }
}
