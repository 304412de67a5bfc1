import type { Clock } from '../../core/clock.ts'
import { refuseUnknown } from '../../core/known-fields.ts'
import type { OperationRecord } from '../../core/operation.ts'
import { purgeBoth } from '../../core/purge-both.ts'
import type { AuditEntry, OperationCatalog, OperationStore, StoreCapabilities } from '../../core/store.ts'
import { systemClock } from '../../core/system.ts'
import { type Atomically, transitionMethods } from '../../core/transition-port.ts'
import { createWaitingRoom } from '../../core/waiting-room.ts'
import { copyOf } from './copy-of.ts'
import { memoryCatalog } from './memory-catalog.ts'
import { memorySeen } from './memory-seen.ts'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /** The clock of the store. Default: the clock of this machine. */
  readonly clock?: Clock
}

/** A {@link memoryStore} with its catalog. */
export type MemoryStore = OperationStore & OperationCatalog

const CAPABILITIES: StoreCapabilities = {
  durable: false,
  transactional: false,
  push: true,
  listing: true,
  fencing: true,
}

/** The most audit lines kept in memory; the oldest go first. */
const MAX_AUDIT = 1000

/**
 * Remembers operations in this process's memory: for tests and examples.
 *
 * Limit: everything is gone with the process, and no other process sees it. Expired records are dropped when they are
 * found, and by `purge`.
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  refuseUnknown('memoryStore', options, ['clock'])
  const clock = options.clock ?? systemClock
  const records = new Map<string, OperationRecord>()
  const audit: AuditEntry[] = []
  const room = createWaitingRoom()
  const catalog = memoryCatalog(records, audit, clock, room.wake)
  const seen = memorySeen(clock)

  const atomically: Atomically = async (digest, step) => {
    const transition = step(records.get(digest), clock.now())
    if (transition.audit) audit.splice(0, Math.max(0, audit.push(transition.audit) - MAX_AUDIT))
    if (transition.write) {
      records.set(digest, copyOf(transition.write))
      if (transition.write.state !== 'running') room.wake(digest)
    }
    return copyOf(transition.reply)
  }

  return {
    capabilities: CAPABILITIES,
    ...transitionMethods(atomically),
    ...catalog,
    purge: purgeBoth(catalog.purge, seen),
    seen,
    watch: (id, signal) => room.wait(id.digest, signal),
    async close() {
      room.wakeAll()
    },
  }
}
