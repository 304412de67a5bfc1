import { describe, it } from 'vitest'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../testing/index.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'

const onManualTime: StoreHarness<MemoryStore> = {
  capabilities: memoryStore().capabilities,
  async open() {
    let now = Date.UTC(2026, 0, 1)
    const store = memoryStore({ clock: { now: () => now, monotonic: () => now } })
    return {
      stores: [store, store],
      advance: (ms) => {
        now += ms
      },
      close: () => store.close(),
    }
  },
}

const onRealTime: StoreHarness<MemoryStore> = {
  capabilities: memoryStore().capabilities,
  unitMs: 100,
  model: { runs: 3 },
  async open() {
    const store = memoryStore()
    return { stores: [store, store], close: () => store.close() }
  },
}

describe('the memory store', () => registerCases(it, storeConformance(onManualTime)))
describe('the memory store on real time', () => registerCases(it, storeConformance(onRealTime)))
describe('the catalog of the memory store', () => registerCases(it, catalogConformance(onManualTime)))
describe('the catalog of the memory store on real time', () =>
  registerCases(it, catalogConformance(onRealTime)))
