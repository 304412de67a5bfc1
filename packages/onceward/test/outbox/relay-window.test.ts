/** How many ready rows a relay has the database look at for those that it takes. */
import { afterEach, expect, it } from 'vitest'
import { readClock } from '../../src/core/lease-clock.ts'
import { systemClock, systemRandom, systemTimers } from '../../src/core/system.ts'
import { createRelay } from '../../src/outbox/relay.ts'
import type { RelayCalls, TakenEvent } from '../../src/outbox/relay-calls.ts'
import { relaySettings } from '../../src/outbox/relay-settings.ts'
import type { Relay } from '../../src/outbox/relay-types.ts'

const FEW = 50
const base = { clock: systemClock, timers: systemTimers, random: systemRandom, retentionMs: 0 }
let relay: Relay | undefined
afterEach(() => relay?.stop())

function taken(seq: number): TakenEvent {
  const event = {
    id: `${seq}`,
    topic: 't',
    payload: 1,
    headers: {},
    state: 'leased',
    blocks: false,
    attempts: 1,
  } as const
  return {
    holding: { seq, owner: 'me', attempt: 1 },
    lane: null,
    event: { ...event, createdAt: 0, history: [], position: `${seq}` },
    history: [],
    takenAt: 0,
  }
}

/** Starts a relay on a database that answers claims so; answers how many rows were looked at, claim by claim. */
async function windowsOf(
  found: (window: number, claims: number) => number,
  claims: number,
  { ready = true, pollMs = 60_000 } = {},
): Promise<readonly (number | 'all')[]> {
  const windows: (number | 'all')[] = []
  let seq = 0
  const reached = new Promise<void>((resolve) => {
    const calls: RelayCalls = {
      async claim({ window }) {
        windows.push(window > 1_000_000 ? 'all' : window)
        if (windows.length === claims) resolve()
        const count = windows.length > claims ? 0 : found(window, windows.length)
        return { taken: Array.from({ length: count }, () => taken(seq++)), sentAt: readClock(base) }
      },
      peek: async () => ready,
      remove: async (holdings) => holdings.length,
      move: async (moves) => moves.length,
      renew: async () => [],
    }
    const settings = relaySettings({ publishBatch: () => {}, batchSize: 5, pollMs }, base)
    relay = createRelay({ calls, settings, hints: undefined, purge: async () => 0, onStopped: () => {} })
    relay.start()
  })
  await reached
  return windows.slice(0, claims)
}

it('takes the beginning of a long backlog without reading all of it', async () => {
  expect(await windowsOf(() => 5, 6)).toEqual([FEW, FEW, FEW, FEW, FEW, FEW])
})

it('reads all of it where nothing is found among the first, and as long as that is fruitful', async () => {
  const behind = (window: number, claims: number) => (window > FEW && claims < 4 ? 5 : 0)
  expect(await windowsOf(behind, 4)).toEqual([FEW, 'all', 'all', 'all'])
})

it('reads nothing more where nothing is ready', async () => {
  const windows = await windowsOf((_, claims) => (claims === 1 ? 5 : 0), 3, { ready: false })
  expect(windows).toEqual([FEW, FEW, FEW])
})

it('reads all of it in vain no more often than it polls', async () => {
  const found = (_: number, claims: number) => (claims === 1 || claims === 4 ? 5 : 0)
  expect(await windowsOf(found, 6)).toEqual([FEW, FEW, 'all', FEW, FEW, FEW])
})
