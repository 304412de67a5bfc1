/** What an inbox promises, on every database. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { createInbox, type InboxOutcome } from '../../src/inbox/index.ts'
import { type DatabaseRig, onEachDatabase } from '../databases/on-each-database.ts'
import { andThen, inboxesOn, writeOn } from './inbox-kit.ts'

const HOUR_MS = 3_600_000

describe('what createInbox is given', () => {
  it.each([
    ['no consumer', { db: ':memory:' }, /consumer: the name/],
    ['an empty consumer', { db: ':memory:', consumer: '' }, /consumer: the name/],
    ['a consumer of 256 bytes', { db: ':memory:', consumer: 'x'.repeat(256) }, /the most is 255/],
    ['no db', { consumer: 'billing' }, /createInbox needs a db/],
    ['an option that means nothing', { db: ':memory:', consumer: 'billing', retention: 5 }, /unknown field/],
    ['no attempts', { db: ':memory:', consumer: 'billing', maxAttempts: 0 }, /maxAttempts/],
  ])('is refused with the mend where it is %s', (_, options, message) => {
    expect(() => createInbox(options as never)).toThrow(TypeError)
    expect(() => createInbox(options as never)).toThrow(message)
  })
})

it('refuses an asynchronous handler on SQLite, takes nothing, and holds it against no message', async () => {
  const inbox = createInbox({ db: ':memory:', consumer: 'billing', maxAttempts: 1 })
  const asked = inbox.process('m1', async () => {})
  await expect(asked).rejects.toThrow(TypeError)
  await expect(asked).rejects.toThrow(/synchronous/)
  expect(await inbox.process('m1', () => 'value')).toEqual({ outcome: 'processed', value: 'value' })
  await inbox.close()
})

it('has a doctor who says that the schema is missing', async () => {
  const handle = openSqlite(':memory:')
  const inbox = createInbox({ db: handle, consumer: 'billing' })
  expect(await inbox.doctor()).toMatchObject([
    { level: 'fail', check: 'schema', message: expect.stringContaining('migrate()') },
  ])
  await inbox.close()
  handle.close()
})

it('refuses a batch that is no list, and a redrive without a reason, with the mend', async () => {
  const inbox = createInbox({ db: ':memory:', consumer: 'billing' })
  for (const messages of [undefined, { id: 'm' }, 'm1'])
    await expect(inbox.processBatch(messages as never, () => {})).rejects.toThrow(/needs a list of messages/)
  await expect(inbox.redrive('m', undefined as never)).rejects.toThrow(/needs a reason/)
  await inbox.close()
})

await onEachDatabase('an inbox', (open) => {
  let rig: DatabaseRig
  let kit: Awaited<ReturnType<typeof inboxesOn>>
  beforeEach(async () => {
    rig = await open()
    kit = await inboxesOn(rig)
  })
  afterEach(async () => {
    await kit.close()
    await rig.close()
  })

  it('processes a message once, and tells a duplicate', async () => {
    const inbox = kit.inbox()
    const first = await inbox.process('m1', (tx) => andThen(kit.effect('m1')(tx), () => 'the answer'))
    expect(first).toEqual({ outcome: 'processed', value: 'the answer' })
    expect(await inbox.process({ id: 'm1' }, kit.effect('m1'))).toEqual({ outcome: 'duplicate' })
    expect(await kit.effects()).toEqual({ m1: 1 })
  })

  it('lets one of 50 deliveries at once take effect, over two connections', async () => {
    const inboxes = [kit.inbox(), kit.inbox()]
    const fifty = (deliver: (index: number) => Promise<InboxOutcome<unknown>> | undefined) =>
      Promise.all(Array.from({ length: 50 }, (_, index) => deliver(index)))
    // All connections are to be open, so that the deliveries really meet.
    await fifty((index) => inboxes[index % 2]?.process(`warm-${index}`, () => undefined))
    for (const id of ['m1', 'm2', 'm3']) {
      const outcomes = await fifty((index) => inboxes[index % 2]?.process(id, kit.effect(id)))
      expect(outcomes.filter((one) => one?.outcome === 'processed')).toHaveLength(1)
      expect(outcomes.filter((one) => one?.outcome === 'duplicate')).toHaveLength(49)
    }
    expect(await kit.effects()).toEqual({ m1: 1, m2: 1, m3: 1 })
  })

  it('undoes everything when the handler throws, and lets the message come again', async () => {
    const inbox = kit.inbox()
    const boom = new Error('boom')
    const failing = inbox.process('m1', (tx) =>
      andThen(kit.effect('m1')(tx), () => {
        throw boom
      }),
    )
    await expect(failing).rejects.toBe(boom)
    expect(await kit.effects()).toEqual({})
    expect(await inbox.process('m1', kit.effect('m1'))).toMatchObject({ outcome: 'processed' })
    expect(await kit.effects()).toEqual({ m1: 1 })
  })

  it('lets one of those who waited take the place of a delivery that has failed', async () => {
    const inboxes = [kit.inbox(), kit.inbox()]
    let runs = 0
    const handler = (tx: unknown) => {
      const run = ++runs
      return andThen(kit.effect('m1')(tx), () => {
        if (run <= 2) throw new Error(`run ${run} fails`)
      })
    }
    const settled = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => inboxes[index % 2]?.process('m1', handler)),
    )
    const outcomes = settled.map((one) =>
      one.status === 'fulfilled' ? one.value?.outcome : String(one.reason),
    )
    expect(outcomes.filter((one) => one === 'processed')).toHaveLength(1)
    expect(outcomes.filter((one) => one === 'duplicate')).toHaveLength(7)
    expect(await kit.effects()).toEqual({ m1: 1 })
  })

  it('keeps consumers apart, and ids that differ in case, spaces or accents', async () => {
    const billing = kit.inbox()
    const mailing = kit.inbox({ consumer: 'mailing' })
    const upper = kit.inbox({ consumer: 'BILLING' })
    for (const inbox of [billing, mailing, upper])
      for (const id of ['m', 'M', 'm ', 'é', 'e\u0301', "'; DROP TABLE effects; --", '__proto__'])
        expect(await inbox.process(id, kit.effect('all'))).toMatchObject({ outcome: 'processed' })
    expect(await kit.effects()).toEqual({ all: 21 })
  })

  it('refuses an id that messages would share, with the mend, and takes nothing', async () => {
    const inbox = kit.inbox()
    const bad: readonly [unknown, RegExp][] = [
      [undefined, /has no id/],
      [{}, /has no id/],
      [{ id: undefined }, /has no id/],
      [null, /has no id/],
      ['', /has no id/],
      [7, /String\(id\)/],
      ['undefined', /missing id/],
      ['null', /missing id/],
      ['[object Object]', /missing id/],
      ['a\0b', /NUL/],
      ['\ud800', /surrogate/],
      ['x'.repeat(1025), /SHA-256/],
    ]
    for (const [message, mend] of bad) {
      const asked = inbox.process(message as never, kit.effect('never'))
      await expect(asked).rejects.toThrow(TypeError)
      await expect(asked).rejects.toThrow(mend)
      await expect(inbox.processBatch([message as never], kit.effect('never'))).rejects.toThrow(mend)
    }
    expect(await kit.effects()).toEqual({})
    const longest = { id: '€'.repeat(341) }
    expect(await inbox.process(longest, kit.effect('long'))).toMatchObject({ outcome: 'processed' })
    expect(await inbox.process(longest, kit.effect('long'))).toMatchObject({ outcome: 'duplicate' })
  })

  it("joins the caller's transaction: taken with it, and forgotten with it", async () => {
    const inbox = kit.inbox()
    const take = () =>
      rig.transact(async ({ handle }) => {
        const first = await inbox.within(handle, 'm1')
        if (first) await writeOn(handle, "INSERT INTO effects (place, note) VALUES ('m1', 'x')")
        return first
      })
    const undone = rig.transact(async ({ handle }) => {
      expect(await inbox.within(handle, { id: 'm1' })).toBe(true)
      throw new Error('never mind')
    })
    await expect(undone).rejects.toThrow('never mind')
    expect(await take()).toBe(true)
    expect(await take()).toBe(false)
    expect(await inbox.process('m1', kit.effect('m1'))).toEqual({ outcome: 'duplicate' })
    expect(await kit.effects()).toEqual({ m1: 1 })
  })

  describe('a batch', () => {
    const ids = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => ({ id: `m${String(from + index).padStart(3, '0')}` }))
    const each = (tx: unknown, fresh: readonly { readonly id: string }[]) =>
      writeOn(
        tx,
        `INSERT INTO effects (place, note) VALUES ${fresh.map(({ id }) => `('${id}', 'x')`).join(', ')}`,
      )

    it('gives its handler the new messages, each once and in their order', async () => {
      const inbox = kit.inbox()
      await inbox.process('m001', kit.effect('m001'))
      const batch = [
        { id: 'm002', n: 1 },
        { id: 'm001', n: 2 },
        { id: 'm000', n: 3 },
        { id: 'm002', n: 4 },
      ]
      const outcome = await inbox.processBatch(batch, (tx, fresh) =>
        andThen(each(tx, fresh), () => fresh.map(({ n }) => n)),
      )
      expect(outcome).toEqual({
        outcome: 'processed',
        value: [1, 3],
        fresh: [batch[0], batch[2]],
        duplicates: [batch[1], batch[3]],
        dead: [],
      })
      const again = await inbox.processBatch(batch, () => {
        throw new Error('must not be called')
      })
      expect(again).toMatchObject({ outcome: 'duplicate', fresh: [] })
      expect(again.duplicates).toHaveLength(4)
      expect(await inbox.processBatch([], each)).toMatchObject({ outcome: 'duplicate', duplicates: [] })
      expect(await kit.effects()).toEqual({ m000: 1, m001: 1, m002: 1 })
    })

    it('is all or nothing', async () => {
      const inbox = kit.inbox()
      const failing = inbox.processBatch(ids(0, 5), (tx, fresh) =>
        andThen(each(tx, fresh), () => {
          throw new Error('boom')
        }),
      )
      await expect(failing).rejects.toThrow('boom')
      expect(await kit.effects()).toEqual({})
      expect((await inbox.processBatch(ids(0, 5), each)).fresh).toHaveLength(5)
    })

    it('overlaps with others in any order, and each message takes effect once', async () => {
      const inboxes = [kit.inbox(), kit.inbox()]
      await Promise.all(
        Array.from({ length: 16 }, (_, index) => {
          const messages = ids(index * 5, index * 5 + 40)
          if (index % 2) messages.reverse()
          return inboxes[index % 2]?.processBatch(messages, each)
        }),
      )
      const effects = await kit.effects()
      expect(Object.keys(effects)).toHaveLength(115)
      expect(Object.values(effects).every((times) => times === 1)).toBe(true)
    })

    it('and single deliveries in the opposite order deadlock, and are run again', async () => {
      const inboxes = [kit.inbox(), kit.inbox()]
      // Each takes both ids in one transaction, in the opposite order.
      const both = (inbox: number, order: readonly string[]) =>
        inboxes[inbox]?.processBatch(
          order.map((id) => ({ id: `${inbox}${id}` })),
          (tx) =>
            order.reduce<unknown>(
              (before, id) =>
                andThen(before, () =>
                  andThen(inboxes[inbox]?.within(tx, `shared-${id}`), () =>
                    writeOn(tx, `INSERT INTO effects (place, note) VALUES ('${inbox}${id}', 'x')`),
                  ),
                ),
              undefined,
            ) as Promise<unknown>,
        )
      await Promise.all(
        Array.from({ length: 5 }, (_, turn) => [
          both(0, [`${turn}a`, `${turn}b`]),
          both(1, [`${turn}b`, `${turn}a`]),
        ]).flat(),
      )
      const effects = await kit.effects()
      expect(Object.keys(effects)).toHaveLength(20)
      expect(Object.values(effects).every((times) => times === 1)).toBe(true)
    })

    it('takes thousands by one statement', async () => {
      const inbox = kit.inbox()
      const many = Array.from({ length: 3000 }, (_, index) => `message-${index}`)
      expect(
        (await inbox.processBatch(many.slice(1000), (tx) => writeOn(tx, 'SELECT 1'))).fresh,
      ).toHaveLength(2000)
      const { fresh, duplicates } = await inbox.processBatch(many, (tx) => writeOn(tx, 'SELECT 1'))
      expect([fresh.length, duplicates.length]).toEqual([1000, 2000])
    })
  })

  describe('a poison message', () => {
    const poison = (note: string) => (tx: unknown) =>
      andThen(kit.effect('poison')(tx), () => {
        throw new Error(note)
      })

    it('is dead after maxAttempts, with its history, and goes through after it was redriven', async () => {
      const inbox = kit.inbox({ maxAttempts: 2 })
      await expect(inbox.process('p', poison('first'))).rejects.toThrow('first')
      expect(await inbox.failures()).toEqual([])
      expect(await inbox.failures({ deadOnly: false })).toMatchObject([{ id: 'p', attempts: 1 }])
      const last = await inbox.process('p', poison('second'))
      expect(last).toMatchObject({ outcome: 'dead', attempts: 2, cause: { message: 'second' } })
      expect(await inbox.process('p', kit.effect('p'))).toEqual({ outcome: 'dead', attempts: 2 })
      const batch = await inbox.processBatch(['p', 'q'], kit.effect('q'))
      expect(batch).toMatchObject({ outcome: 'processed', fresh: ['q'], duplicates: [], dead: ['p'] })
      expect(await inbox.failures()).toMatchObject([
        {
          id: 'p',
          attempts: 2,
          deadAt: expect.any(Number),
          history: [
            { event: 'failed', note: 'Error: first' },
            { event: 'dead', note: 'Error: second' },
          ],
        },
      ])
      expect(await inbox.redrive('p', { reason: 'ann: the price is mended' })).toBe(true)
      expect(await inbox.redrive('p', { reason: 'ann: again' })).toBe(false)
      expect((await inbox.failures({ deadOnly: false }))[0]?.history.at(-1)).toMatchObject({
        event: 'redriven',
        note: 'ann: the price is mended',
      })
      await expect(inbox.process('p', poison('third'))).rejects.toThrow('third')
      expect(await inbox.process('p', kit.effect('p'))).toMatchObject({ outcome: 'processed' })
      expect(await inbox.failures({ deadOnly: false })).toEqual([])
      expect(await kit.effects()).toEqual({ p: 1, q: 1 })
    })

    it('keeps a bounded history, clipped and whatever it is made of', async () => {
      const inbox = kit.inbox({ maxAttempts: 100 })
      const odd = [`\0\ud800 ${'€'.repeat(2000)}`, 7, undefined, { toString: () => Number.parseInt('x', 10) }]
      for (let index = 0; index < 20; index++) {
        const thrown = odd[index % odd.length]
        const failing = inbox.process('p', () => {
          throw thrown
        })
        await expect(failing).rejects.toBe(thrown)
      }
      const [failed] = await inbox.failures({ deadOnly: false })
      expect(failed?.attempts).toBe(20)
      expect(failed?.history).toHaveLength(16)
      expect(failed?.history.every(({ note }) => note.length <= 500)).toBe(true)
    })

    it('is one whose statement the database refuses, too', async () => {
      const inbox = kit.inbox({ maxAttempts: 1 })
      const refused = await inbox.process('p', (tx) =>
        andThen(kit.effect('p')(tx), () => writeOn(tx, 'SELECT * FROM no_such_table')),
      )
      expect(refused).toMatchObject({ outcome: 'dead', attempts: 1 })
      expect(await kit.effects()).toEqual({})
    })

    it('needs a reason to be redriven', async () => {
      await expect(kit.inbox().redrive('p', { reason: ' ' })).rejects.toThrow(/reason/)
    })
  })

  it('forgets ids past their retention, and no others, in bounded steps', async () => {
    const inbox = kit.inbox({ retentionMs: HOUR_MS, autoPurge: false })
    const old = Array.from({ length: 1500 }, (_, index) => `old-${index}`)
    await inbox.processBatch(old, (tx) => writeOn(tx, 'SELECT 1'))
    await rig.sql(`UPDATE onceward_inbox SET processed_at = processed_at - ${30 * HOUR_MS}`)
    await inbox.process('new', kit.effect('new'))
    const other = kit.inbox({ consumer: 'other', retentionMs: 100 * HOUR_MS })
    await other.process('old-1', kit.effect('other'))
    expect((await inbox.doctor()).find(({ check }) => check === 'purge')).toMatchObject({
      level: 'warn',
      message: expect.stringContaining('1.2 d past its retention'),
    })
    expect(await inbox.purge(500)).toBe(1000)
    expect(await inbox.purge()).toBe(500)
    expect((await inbox.doctor()).find(({ check }) => check === 'purge')?.level).toBe('ok')
    expect(await inbox.process('new', kit.effect('new'))).toEqual({ outcome: 'duplicate' })
    expect(await inbox.process('old-1', kit.effect('old'))).toMatchObject({ outcome: 'processed' })
    expect(await other.process('old-1', kit.effect('other'))).toEqual({ outcome: 'duplicate' })
  })

  it('deletes in the background now and then', async () => {
    // A purge that is still under way when the next message comes is not joined by another.
    await kit.inbox({ autoPurge: false }).process('old', kit.effect('old'))
    await rig.sql(`UPDATE onceward_inbox SET processed_at = processed_at - ${2 * HOUR_MS}`)
    const random = { nonce: () => 'x'.repeat(24), fraction: () => 0 }
    const inbox = kit.inbox({ retentionMs: HOUR_MS, random })
    await inbox.process('new', kit.effect('new'))
    await inbox.close()
    expect(await rig.sql('SELECT 1 AS one FROM onceward_inbox')).toHaveLength(1)
  })

  it('has a doctor who holds its retention against the longest retry of the producer', async () => {
    const inbox = kit.inbox({ retentionMs: HOUR_MS, maxAttempts: 1 })
    const level = async (facts?: { producerRetryMs: number }) =>
      (await inbox.doctor(facts)).find(({ check }) => check === 'retention')
    expect(await level()).toMatchObject({ level: 'warn' })
    expect(await level({ producerRetryMs: HOUR_MS - 1 })).toMatchObject({ level: 'ok' })
    expect(await level({ producerRetryMs: 72 * HOUR_MS })).toMatchObject({
      level: 'fail',
      message: expect.stringMatching(/after 1 h.*for 3 d.*Raise retentionMs/),
    })
    expect((await inbox.doctor()).map(({ check }) => check)).toEqual(['retention', 'purge', 'dead'])
    await inbox.process('p', () => {
      throw new Error('boom')
    })
    expect((await inbox.doctor()).find(({ check }) => check === 'dead')).toMatchObject({ level: 'warn' })
  })
})
