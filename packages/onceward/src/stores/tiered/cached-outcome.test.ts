import { expect, it } from 'vitest'
import { outcomeEntries } from './cached-outcome.ts'

it.each([
  [0, 999, true],
  [0, 1000, false],
  [50, 1049, true],
  [50, 1050, false],
  [50, -50, true],
  [50, -51, false],
])(
  'with %s ms between clocks, an entry for 1000 ms is believed at an age of %s ms: %s, whatever the cache says is left',
  (maxSkewMs, ageMs, believed) => {
    let now = 5000
    const entries = outcomeEntries({ secret: undefined, now: () => now, maxSkewMs })
    const outcome = { kind: 'value', value: new Uint8Array([1]) } as const
    const cached = { fingerprint: undefined, fence: 1, attempt: 1, outcome, remainingMs: 1000 }
    const bytes = entries.write('digest', cached, 1000)
    now += ageMs
    expect(entries.read('digest', { bytes, remainingMs: 500 }) !== undefined).toBe(believed)
  },
)
