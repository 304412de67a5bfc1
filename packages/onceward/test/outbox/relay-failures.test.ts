/** Publishing that fails, on every database: attempts, dead letters, batches, damaged rows. */
import { afterEach, expect, it } from 'vitest'
import type { OutboxEvent, RelayedEvent } from '../../src/outbox/index.ts'
import { type DatabaseRig, onEachDatabase } from '../databases/on-each-database.ts'
import { type OutboxRig, outboxRig, until } from './outbox-rig.ts'

await onEachDatabase('what relays cannot publish', (open: () => Promise<DatabaseRig>) => {
  let rig: OutboxRig | undefined
  const start = async (options?: Parameters<typeof outboxRig>[1]) => {
    rig = await outboxRig(open, options)
    return rig
  }
  afterEach(async () => {
    await rig?.close()
    rig = undefined
  })
  const isEmpty = (one: OutboxRig) => async () => (await one.outbox.stats()).pending === 0

  it.each(['block', 'skip'] as const)(
    'makes a dead letter after the last attempt, and then has the key %s',
    async (onDead) => {
      const own = await start()
      const seen: unknown[] = []
      let isMended = false
      const publish = ({ payload }: RelayedEvent) => {
        if (payload === 1 && !isMended) throw new Error('poison')
        seen.push(payload)
      }
      const { told } = own.relay({ publish, maxAttempts: 2, onDead })
      const [id = ''] = await own.add(...[1, 2, 3].map((payload) => ({ topic: 't', key: 'k', payload })))
      await until('dead', async () => (await own.outbox.stats()).dead === 1)
      if (onDead === 'skip') await until('the rest', () => seen.length === 2)
      else await own.add({ topic: 't', key: 'other', payload: 'other' })
      await until('what is free', () => seen.length === (onDead === 'skip' ? 2 : 1))
      expect(seen).toEqual(onDead === 'skip' ? [2, 3] : ['other'])
      const dead = await own.outbox.get(id)
      expect(dead).toMatchObject({ state: 'dead', blocks: onDead === 'block', attempts: 2 })
      expect(dead?.history.map(({ event, attempt }) => [event, attempt])).toEqual([
        ['failed', 1],
        ['dead', 2],
      ])
      expect(told.filter(({ type }) => type === 'dead')).toMatchObject([{ ids: [id], attempt: 2 }])
      isMended = true
      expect(await own.outbox.redrive({ ids: [id] }, { reason: 'the consumer was mended' })).toBe(1)
      expect(await own.outbox.redrive({ ids: [id] })).toBe(0)
      await until('published', isEmpty(own))
      expect(seen).toEqual(onDead === 'skip' ? [2, 3, 1] : ['other', 1, 2, 3])
      expect((await own.outbox.stats()).dead).toBe(0)
    },
  )

  it('goes on with a key whose dead event is discarded, and redrives all of a topic', async () => {
    const own = await start()
    const seen: unknown[] = []
    let isMended = false
    const publish = ({ payload }: RelayedEvent) => {
      if (String(payload).startsWith('bad') && !isMended) throw new Error('poison')
      seen.push(payload)
    }
    own.relay({ publish, maxAttempts: 1 })
    const event = (key: string, payload: string): OutboxEvent => ({ topic: `t${key}`, key, payload })
    const [id = ''] = await own.add(
      event('1', 'bad 1'),
      event('1', 'good'),
      event('2', 'bad 2'),
      event('3', 'bad 3'),
    )
    await until('dead', async () => (await own.outbox.stats()).dead === 3)
    expect(await own.outbox.discard([id, 'unknown'])).toBe(1)
    await until('what was behind it', () => seen.length === 1)
    isMended = true
    expect(await own.outbox.redrive({ topic: 't2', limit: 5 })).toBe(1)
    expect(await own.outbox.redrive({})).toBe(1)
    await until('published', isEmpty(own))
    expect([...seen].sort()).toEqual(['bad 2', 'bad 3', 'good'])
  })

  it('gives up a call that hangs, and tries again', async () => {
    const own = await start()
    let calls = 0
    const publish = (_: RelayedEvent, { signal }: { signal: AbortSignal }) => {
      calls += 1
      if (calls > 1) return undefined
      expect(signal.aborted).toBe(false)
      return new Promise(() => {})
    }
    const { told } = own.relay({ publish, publishTimeoutMs: 30 })
    await own.add({ topic: 't', payload: 1 })
    await until('published', isEmpty(own))
    expect(told.map(({ type }) => type).filter((type) => type !== 'error')).toEqual(['failed', 'published'])
    expect(told[0]?.error).toMatchObject({ code: 'ABORTED', effect: 'unknown' })
  })

  it('publishes the events of a batch that has failed each by itself', async () => {
    const own = await start()
    const sizes: number[] = []
    const seen: unknown[] = []
    const publishBatch = (batch: readonly RelayedEvent[]) => {
      sizes.push(batch.length)
      if (batch.some(({ payload }) => payload === 'poison')) throw new Error('poison')
      seen.push(...batch.map(({ payload }) => payload))
    }
    await own.add(
      ...['1', 'poison', '2', '3'].map((payload, n) => ({
        topic: 't',
        key: n === 3 ? 'k1' : `k${n}`,
        payload,
      })),
    )
    own.relay({ publishBatch, maxAttempts: 2 })
    await until('settled', async () => (await own.outbox.stats()).pending === 1)
    expect([...seen].sort()).toEqual(['1', '2'])
    expect(sizes.slice(0, 2)).toEqual([4, 1])
    expect(await own.outbox.list()).toMatchObject([
      { payload: 'poison', state: 'dead', attempts: 2 },
      { payload: '3', state: 'ready', attempts: 0 },
    ])
  })

  it('makes an event dead that no relay survives', async () => {
    const own = await start()
    const [id = ''] = await own.add({ topic: 't', key: 'k', payload: 1 })
    await own.db.sql(
      "UPDATE onceward_outbox SET state = 'leased', stops = lane, owner = 'gone', attempts = 3, until = 1",
    )
    own.relay({ publish: () => {}, maxAttempts: 3 })
    await until('dead', async () => (await own.outbox.get(id))?.state === 'dead')
    const { attempts, history } = (await own.outbox.get(id)) ?? {}
    expect(attempts).toBe(3)
    expect(history?.map(({ event }) => event)).toEqual(['lapsed', 'dead'])
  })

  it('keeps the latest 16 entries of a history', async () => {
    const own = await start()
    const [id = ''] = await own.add({ topic: 't', payload: 1 })
    const publish = () => {
      throw new Error('poison')
    }
    own.relay({ publish, maxAttempts: 18, backOffMs: 1, maxBackOffMs: 1 })
    await until('dead', async () => (await own.outbox.get(id))?.state === 'dead')
    const attempts = (await own.outbox.get(id))?.history.map(({ attempt }) => attempt)
    expect(attempts).toEqual(Array.from({ length: 16 }, (_, index) => index + 3))
  })

  it('sets aside an event that was damaged, and publishes the others', async () => {
    const own = await start()
    const seen: unknown[] = []
    const [id] = await own.add(
      { topic: 't', key: 'k', payload: 'damaged' },
      { topic: 't', key: 'k', payload: 'behind' },
      { topic: 't', key: 'l', payload: 'fine' },
    )
    await own.db.sql(`UPDATE onceward_outbox SET payload = '{' WHERE id = '${id}'`)
    const { told } = own.relay({ publish: ({ payload }) => seen.push(payload) })
    await until('set aside', async () => (await own.outbox.stats()).dead === 1)
    await until('published', () => seen.length === 1)
    expect(seen).toEqual(['fine'])
    expect(told.find(({ type }) => type === 'dead')?.error).toMatchObject({ code: 'STORE_CORRUPT' })
    expect(await own.outbox.discard([id as string])).toBe(1)
    await until('the rest', () => seen.length === 2)
  })
})
