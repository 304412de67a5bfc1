import { describe, expect, it } from 'vitest'
import { operationId } from '../../core/identity.ts'
import { copyOf } from './copy-of.ts'
import { memoryStore } from './memory-store.ts'

describe('the memory store', () => {
  it('runs on the clock of this machine unless it is given one', async () => {
    const store = memoryStore()
    const before = Date.now()
    await store.claim({
      id: operationId('s', 'k'),
      owner: 'ada',
      leaseMs: 1000,
      retentionMs: 1000,
      onCrash: 'hold',
    })
    const record = await store.get(operationId('s', 'k'))
    expect(record?.createdAt).toBeGreaterThanOrEqual(before)
    expect(record?.createdAt).toBeLessThanOrEqual(Date.now())
  })

  it('shares nothing with another one', async () => {
    const [one, other] = [memoryStore(), memoryStore()]
    await one.claim({
      id: operationId('s', 'k'),
      owner: 'ada',
      leaseMs: 1000,
      retentionMs: 1000,
      onCrash: 'hold',
    })
    expect(await other.get(operationId('s', 'k'))).toBeUndefined()
  })

  it('lets others have their turns while it looks for what to purge and to sweep, of very many', async () => {
    let now = 0
    const store = memoryStore({ clock: { now: () => now, monotonic: () => now } })
    const digests = Array.from({ length: 50_000 }, (_, index) => `digest ${index}`)
    await store.seen?.mark({ digests, markId: 'm', windowMs: 1000, sliding: false })
    const claims = digests.map((_, index) => ({
      id: operationId('s', `k${index}`),
      owner: 'ada',
      leaseMs: 1000,
      retentionMs: 1000,
      onCrash: 'hold' as const,
    }))
    await Promise.all(claims.map((claim) => store.claim(claim)))
    let turns = 0
    let isOn = true
    const turn = () => {
      turns++
      if (isOn) setImmediate(turn)
    }
    setImmediate(turn)
    const during = async (call: Promise<number> | undefined) => {
      const before = turns
      return { answer: await call, turns: turns - before }
    }
    const manyTurns = expect.toSatisfy((count: number) => count >= 45)
    expect(await during(store.purge())).toEqual({ answer: 0, turns: manyTurns })
    expect(await during(store.sweep())).toEqual({ answer: 0, turns: manyTurns })
    now = 2000
    expect(await during(store.seen?.purge(digests.length))).toEqual({ answer: 50_000, turns: manyTurns })
    isOn = false
  })

  it('warns that it is not durable', async () => {
    expect(await memoryStore().doctor()).toMatchObject([{ level: 'warn', check: 'durability' }])
  })
})

describe('a copy', () => {
  it('equals the data, shares nothing with it, and takes of bytes only the part that is shown', () => {
    const data = {
      list: [{ bytes: Buffer.from('pooled') }],
      none: undefined,
      ['__proto__']: { polluted: true },
    }
    const copy = copyOf(data)
    expect(copy.list[0]?.bytes).toEqual(Uint8Array.from(Buffer.from('pooled')))
    expect(copy.list[0]?.bytes.buffer.byteLength).toBe(6)
    data.list[0]?.bytes.fill(0)
    expect(Buffer.from(copy.list[0]?.bytes ?? []).toString()).toBe('pooled')
    expect(Object.hasOwn(copy, '__proto__')).toBe(true)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})
