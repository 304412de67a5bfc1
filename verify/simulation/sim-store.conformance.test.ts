import { operationId } from 'onceward'
import { registerCases, storeConformance } from 'onceward/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { DEFAULT_ENGINE, loadEngine } from './engine.ts'
import { noStatistics } from './history.ts'
import type { NetworkPlan } from './plan.ts'
import { createPrng } from './prng.ts'
import { createScheduler } from './scheduler.ts'
import { simNetwork } from './sim-network.ts'
import { startProcess } from './sim-process.ts'
import { simStore } from './sim-store.ts'

const FLAWLESS: NetworkPlan = {
  seed: 1,
  loseRequest: 0,
  loseReply: 0,
  reset: 0,
  late: 0,
  duplicate: 0,
  slow: 0,
  // Nothing takes time, so that only the cases move the clock; each call still goes over its three legs.
  legMs: 0,
  timeoutMs: 1000,
  hangs: true,
  spared: [],
}

const statistics = noStatistics()
const engine = await loadEngine(new URL(`../../${DEFAULT_ENGINE}`, import.meta.url).pathname)

/** The simulated store as two processes reach it, in a world that goes on by itself while a case waits. */
async function open() {
  const scheduler = createScheduler()
  const store = simStore(engine, scheduler, () => {}, statistics)
  const network = simNetwork(FLAWLESS, 1000, scheduler, store, statistics)
  network.heal()
  const spec = { skewMs: 0, drift: 0, cache: false, push: true }
  const connect = (index: number) => network.storeFor(startProcess(index, spec, scheduler, createPrng(index)))
  let over = false
  const goOn = () => {
    scheduler.step()
    if (!over) setImmediate(goOn)
  }
  goOn()
  return {
    stores: [connect(0), connect(1)] as const,
    advance: (ms: number) => new Promise<void>((resolve) => void scheduler.after(ms, resolve)),
    async close() {
      over = true
    },
  }
}

/** A simulation whose store breaks the rules would prove the mock. */
describe('the store of the simulation', () => {
  const capabilities = {
    durable: true,
    transactional: false,
    push: true,
    listing: false,
    fencing: true,
  } as const
  registerCases(it, storeConformance({ capabilities, open }))

  it('takes back its last writes when it fails over without them', async () => {
    const scheduler = createScheduler()
    const store = simStore(engine, scheduler, () => {}, noStatistics())
    const id = operationId('s', 'k')
    const request = { id, owner: 'ada', leaseMs: 1000, retentionMs: 1000, onCrash: 'hold' } as const
    await store.methods.claim(request)
    expect(store.peek(id.digest)?.state).toBe('running')
    store.loseTail(1)
    expect(store.peek(id.digest)).toBeUndefined()
  })

  afterAll(() => {
    expect(statistics.messages).toBeGreaterThan(1000)
    expect(statistics.lostReplies).toBe(0)
  })
})
