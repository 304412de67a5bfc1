import { describe, it } from 'vitest'
import { type LockHarness, lockConformance, registerCases } from '../../testing/index.ts'
import { memoryLocks } from './memory-locks.ts'

const onManualTime: LockHarness = {
  capabilities: memoryLocks().capabilities,
  async open() {
    let now = Date.UTC(2026, 0, 1)
    const backend = memoryLocks({ clock: { now: () => now, monotonic: () => now } })
    return {
      backends: [backend, backend],
      advance: (ms) => {
        now += ms
      },
      close: () => backend.close(),
    }
  },
}

const onRealTime: LockHarness = {
  capabilities: memoryLocks().capabilities,
  unitMs: 100,
  model: { runs: 3 },
  async open() {
    const backend = memoryLocks()
    return { backends: [backend, backend], close: () => backend.close() }
  },
}

describe('locks in memory', () => registerCases(it, lockConformance(onManualTime)))
describe('locks in memory on real time', () => registerCases(it, lockConformance(onRealTime)))
