/** Adding events and looking after them, on every database. */
import { afterEach, expect, it } from 'vitest'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { createOutbox, type OutboxEvent } from '../../src/outbox/index.ts'
import { type DatabaseRig, onEachDatabase } from '../databases/on-each-database.ts'
import { type OutboxRig, outboxRig, until } from './outbox-rig.ts'

await onEachDatabase('an outbox', (open: () => Promise<DatabaseRig>) => {
  let rig: OutboxRig | undefined
  const start = async (options?: Parameters<typeof outboxRig>[1]) => {
    rig = await outboxRig(open, options)
    return rig
  }
  afterEach(async () => {
    await rig?.close()
    rig = undefined
  })

  it('keeps an event with all that belongs to it, under an id of its own', async () => {
    const { outbox, add } = await start()
    const payload = {
      name: 'Zoë "🐘"',
      note: '\u0000\ud800 \\ back',
      list: [1, null, { deep: true }],
      at: new Date(0),
    }
    const headers = { 'content-type': 'application/json', ü: '\ud800' }
    const [id = ''] = await add({ topic: 'orders.ö', key: "k'1", payload, headers })
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7/)
    expect(await outbox.get(id)).toMatchObject({
      id,
      topic: 'orders.ö',
      key: "k'1",
      payload: { ...payload, at: '1970-01-01T00:00:00.000Z' },
      headers,
      state: 'ready',
      blocks: false,
      attempts: 0,
      history: [],
    })
    expect(await outbox.get('none')).toBeUndefined()
  })

  it('keeps bytes as bytes', async () => {
    const { outbox, add } = await start()
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    const [id = ''] = await add({ topic: 'files', payload: Buffer.from(bytes) })
    expect((await outbox.get(id))?.payload).toEqual(bytes)
  })

  it('answers at once on SQLite, and a promise elsewhere', async () => {
    const { outbox, db } = await start()
    const event = { topic: 't', payload: 1 }
    const answers = await db.transact(async ({ handle }) => {
      const added = outbox.add(handle, event)
      expect(added instanceof Promise).toBe(db.dialect !== 'sqlite')
      return [await added, await outbox.add(handle, [event, event]), await outbox.add(handle, [])]
    })
    expect(answers).toEqual([expect.any(String), [expect.any(String), expect.any(String)], []])
  })

  it('forgets an event whose transaction was rolled back: it never was', async () => {
    const { outbox, db, relay, add } = await start()
    const undone = db.transact(async ({ handle }) => {
      await outbox.add(handle, { topic: 't', payload: 'undone' })
      throw new Error('no')
    })
    await expect(undone).rejects.toThrow('no')
    const seen: unknown[] = []
    relay({ publish: ({ payload }) => seen.push(payload) })
    await add({ topic: 't', payload: 'done' })
    await until('published', async () => (await outbox.stats()).pending === 0)
    expect(seen).toEqual(['done'])
  })

  it('refuses what it cannot store before anything is written', async () => {
    const { outbox, db } = await start({ maxPayloadBytes: 100 })
    const circular: { self?: unknown } = {}
    circular.self = circular
    const good: OutboxEvent = { topic: 't', payload: 1 }
    const bad: readonly (readonly [Partial<Record<keyof OutboxEvent, unknown>> & object, RegExp])[] = [
      [{ payload: undefined }, /payload/],
      [{ payload: () => {} }, /function/],
      [{ payload: { n: 1n } }, /"n".*text/],
      [{ payload: [Number.NaN] }, /JSON has no form/],
      [{ payload: { m: new Map() } }, /Map/],
      [{ payload: { b: new Uint8Array(1) } }, /Uint8Array/],
      [{ payload: { b: Buffer.from('x') } }, /"b" is a Buffer/],
      [{ payload: { at: new Date(Number.NaN) } }, /"at" is a Date/],
      [{ payload: circular }, /circular/i],
      [{ payload: 'x'.repeat(99) }, /maxPayloadBytes is 100/],
      [{ topic: '' }, /topic/],
      [{ topic: 'x'.repeat(256) }, /255/],
      [{ topic: 'a\0' }, /NUL/],
      [{ key: 7 }, /key must be a text/],
      [{ key: 'ü'.repeat(513) }, /1024/],
      [{ headers: { a: 1 } }, /header "a"/],
      [{ headers: new Headers({ a: 'b' }) }, /object of texts/],
      [{ id: 'with space' }, /printable/],
      [{ nonsense: 1 } as object, /nonsense/],
    ]
    await db.transact(async ({ handle }) => {
      for (const [change, message] of bad) {
        const adding = async () => outbox.add(handle, [good, { ...good, ...change } as OutboxEvent])
        await expect(adding(), String(message)).rejects.toThrow(message)
        await expect(adding(), String(message)).rejects.toBeInstanceOf(TypeError)
      }
    })
    expect(await outbox.list()).toEqual([])
  })

  it('takes only a handle with an open transaction, and an id only once', async () => {
    const { outbox, db, add } = await start()
    const outside = async () => outbox.add(db.open(), { topic: 't', payload: 1 })
    await expect(outside()).rejects.toBeInstanceOf(TypeError)
    const mine = { topic: 't', payload: 1, id: 'mine' }
    await add(mine)
    await expect(add(mine)).rejects.toMatchObject({ name: 'OncewardError', effect: 'none' })
    expect(await outbox.list()).toHaveLength(1)
  })

  it('lists events in the order of their adding, page by page, by state and topic', async () => {
    const { outbox, add } = await start()
    await add(...Array.from({ length: 5 }, (_, n) => ({ topic: n % 2 ? 'odd' : 'even', payload: n })))
    const first = await outbox.list({ limit: 2 })
    expect(first.map(({ payload }) => payload)).toEqual([0, 1])
    const rest = await outbox.list({ after: first[1]?.position ?? '' })
    expect(rest.map(({ payload }) => payload)).toEqual([2, 3, 4])
    expect((await outbox.list({ topic: 'odd', state: 'ready' })).map(({ payload }) => payload)).toEqual([
      1, 3,
    ])
    expect(await outbox.list({ state: 'dead' })).toEqual([])
    expect(await outbox.list({ topic: 'none' })).toEqual([])
    for (const query of [{ limit: 0 }, { after: 'x' }, { state: 'x' }, { some: 1 }]) {
      await expect(outbox.list(query as object)).rejects.toBeInstanceOf(TypeError)
    }
  })

  it('adds thousands of events at once in their order', async () => {
    const { outbox, add } = await start()
    const events = Array.from({ length: 2500 }, (_, n) => ({ topic: 't', payload: n }))
    const ids = await add(...events)
    const last = (await outbox.list({ limit: 1000 })).map(({ payload }) => payload)
    expect(last).toEqual(events.slice(0, 1000).map(({ payload }) => payload))
    expect(new Set(ids).size).toBe(2500)
    expect(await outbox.stats()).toMatchObject({ ready: 2500, pending: 2500, dead: 0 })
  })

  it('keeps published events as long as it was told to, and purges them then', async () => {
    const { outbox, relay, add, db } = await start({ retentionMs: 60_000 })
    const [id = ''] = await add({ topic: 't', key: 'k', payload: 1 })
    relay({ publish: () => {} })
    await until('sent', async () => (await outbox.stats()).sent === 1)
    expect(await outbox.get(id)).toMatchObject({ state: 'sent', attempts: 1, blocks: false })
    expect(await outbox.purge()).toBe(0)
    await db.sql('UPDATE onceward_outbox SET until = 1')
    await until('purged', async () => {
      await outbox.purge(10)
      return (await outbox.get(id)) === undefined
    })
  })

  it('tells how old what is pending is, and what is wrong', async () => {
    const { outbox, add, db } = await start()
    expect(await outbox.doctor()).toMatchObject([{ level: 'ok' }])
    await add({ topic: 't', payload: 1 }, { topic: 't', key: 'k', payload: 2 })
    await db.sql('UPDATE onceward_outbox SET created_at = created_at - 3600000')
    expect((await outbox.stats()).oldestPendingMs).toBeGreaterThan(3_590_000)
    await db.sql("UPDATE onceward_outbox SET state = 'dead', stops = lane WHERE event_key = 'k'")
    expect(await outbox.doctor()).toMatchObject([
      { level: 'warn', check: 'pending', message: expect.stringContaining('60 minutes') },
      { level: 'warn', check: 'dead', message: expect.stringContaining('1 of them') },
    ])
  })

  it('refuses to redrive or discard nothing in particular, with the mend', async () => {
    const { outbox } = await start()
    await expect(outbox.redrive(undefined as never)).rejects.toThrow(
      /what redrive is given must be an object/,
    )
    await expect(outbox.redrive({ ids: 'x' } as never)).rejects.toThrow(/as a list/)
    for (const ids of [undefined, '', 'x'])
      await expect(outbox.discard(ids as never)).rejects.toThrow(/as a list/)
    expect([await outbox.redrive({ ids: [] }), await outbox.discard([])]).toEqual([0, 0])
  })

  it('has a doctor who says that the schema is missing', async () => {
    const handle = openSqlite(':memory:')
    const outbox = createOutbox({ db: handle })
    expect(await outbox.doctor()).toMatchObject([
      { level: 'fail', check: 'schema', message: expect.stringContaining('migrate()') },
    ])
    await outbox.close()
    handle.close()
  })

  it('refuses a grace that is no time, and stops when it is asked again', async () => {
    const { outbox } = await start()
    const relay = outbox.relay({ publish: () => {} })
    relay.start()
    for (const graceMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5' as never])
      await expect(relay.stop({ graceMs })).rejects.toThrow(/graceMs must be a number of at least 0/)
    await relay.stop()
    expect(() => relay.start()).toThrow(/stopped/)
  })

  it('refuses options that make no sense, and refuses calls after it was closed', async () => {
    const { outbox, db } = await start()
    await outbox.close()
    await expect(outbox.stats()).rejects.toMatchObject({ code: 'CLOSED' })
    const wrong = { db: db.open(), retention: 1 }
    expect(() => createOutbox(wrong as never)).toThrow(/retention/)
    expect(() => createOutbox({ db: db.open(), maxPayloadBytes: 0 })).toThrow(TypeError)
    expect(() => createOutbox({ db: db.open(), retentionMs: 1.5 })).toThrow(/retentionMs/)
  })
})
