/** A memory store taken apart, so that a test can break one thing of it. */
import type { Clock } from '../../src/core/clock.ts'
import type { OperationRecord } from '../../src/core/operation.ts'
import type { AuditEntry, StoreCapabilities } from '../../src/core/store.ts'
import { type Atomically, transitionMethods } from '../../src/core/transition-port.ts'
import { createWaitingRoom } from '../../src/core/waiting-room.ts'
import { copyOf } from '../../src/stores/memory/copy-of.ts'
import type { MemoryStore } from '../../src/stores/memory/index.ts'
import { memoryCatalog } from '../../src/stores/memory/memory-catalog.ts'
import type { StoreHarness } from '../../src/testing/index.ts'

/** What a flaw has to work with. */
export interface Parts {
  readonly records: Map<string, OperationRecord>
  readonly audit: AuditEntry[]
  readonly clock: Clock
  readonly atomically: Atomically
  /** The store without the flaw, on the same records. */
  readonly sound: MemoryStore
  readonly wake: (digest: string) => void
}

/** One deliberate defect. */
export interface Flaw {
  /** What is wrong with the store. */
  readonly name: string
  /** The rule whose case must fail. */
  readonly rule: RegExp
  /** The methods that are broken; `second` for the second connection. */
  readonly break: (parts: Parts, second: boolean) => Partial<MemoryStore>
  /** The random sequences find it too. */
  readonly model?: true
}

const CAPABILITIES: StoreCapabilities = {
  durable: false,
  transactional: false,
  push: true,
  listing: true,
  fencing: true,
}

/** A harness whose store has this flaw; without one it is sound. */
export function brokenHarness(flaw?: Flaw): StoreHarness<MemoryStore> {
  return {
    capabilities: CAPABILITIES,
    model: { seed: 42, runs: 1000 },
    patienceMs: 200,
    async open() {
      let now = Date.UTC(2026, 0, 1)
      const parts = partsOf({ now: () => now, monotonic: () => now })
      const first = { ...parts.sound, ...flaw?.break(parts, false) }
      const second = { ...parts.sound, ...flaw?.break(parts, true) }
      return {
        stores: [first, second],
        advance: (ms) => {
          now += ms
        },
        close: async () => {},
      }
    },
  }
}

function partsOf(clock: Clock): Parts {
  const records = new Map<string, OperationRecord>()
  const audit: AuditEntry[] = []
  const room = createWaitingRoom()
  const atomically: Atomically = async (digest, step) => {
    const { write, reply, audit: line } = step(records.get(digest), clock.now())
    if (line) audit.push(line)
    if (write) records.set(digest, copyOf(write))
    if (write && write.state !== 'running') room.wake(digest)
    return copyOf(reply)
  }
  const sound: MemoryStore = {
    capabilities: CAPABILITIES,
    ...transitionMethods(atomically),
    ...memoryCatalog(records, audit, clock, room.wake),
    watch: (id, signal) => room.wait(id.digest, signal),
    close: async () => room.wakeAll(),
  }
  return { records, audit, clock, atomically, sound, wake: room.wake }
}

/** The same records, read and written in two steps, with a pause in which another caller may come in. */
export function torn({ records, clock }: Parts): Atomically {
  return async (digest, step) => {
    const found = records.get(digest)
    await new Promise((resolve) => setImmediate(resolve))
    const { write, reply } = step(found, clock.now())
    if (write) records.set(digest, copyOf(write))
    return copyOf(reply)
  }
}
