import { describe, it } from 'vitest'
import type { Clock } from '../../core/clock.ts'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../testing/index.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'

const harness: StoreHarness<MemoryStore> = {
  capabilities: memoryStore().capabilities,
  async open() {
    let now = Date.UTC(2026, 0, 1)
    const clock: Clock = { now: () => now, monotonic: () => now }
    const store = memoryStore({ clock })
    return {
      stores: [store, store],
      advance: (ms) => {
        now += ms
      },
      close: () => store.close(),
    }
  },
}

describe('the memory store', () => registerCases(it, storeConformance(harness)))

describe('the catalog of the memory store', () => registerCases(it, catalogConformance(harness)))
