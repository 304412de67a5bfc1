/** Whatever a handler throws, what is told and stored of it is legible, on every database, and nothing stops at it. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createOnce, isOncewardError, type OnError } from '../../src/core/index.ts'
import { createInbox } from '../../src/inbox/index.ts'
import { createOutbox } from '../../src/outbox/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createTasks } from '../../src/tasks/index.ts'
import { createTokens } from '../../src/tokens/index.ts'
import { type DatabaseRig, onEachDatabase } from './on-each-database.ts'

/** What is thrown, and what a person is to read of it. */
const STRANGE: readonly (readonly [what: string, thrown: unknown, told: RegExp])[] = [
  ['null', null, /null/],
  ['undefined', undefined, /undefined/],
  ['NaN', Number.NaN, /NaN/],
  ['a number', 5, /5/],
  ['a bigint', 5n, /5/],
  ['a text', 'out of paper', /out of paper/],
  ['an empty text', '', /empty text/],
  ['a symbol', Symbol('sign'), /Symbol\(sign\)/],
  ['a function', () => {}, /not an Error/],
  ['an object', { reason: 'x' }, /not an Error/],
  ['an object without a prototype', Object.create(null), /not an Error/],
  ['an object with a message', { message: 'out of ink' }, /out of ink/],
  ['an error without a message', new RangeError(), /RangeError/],
  ['an error whose message throws', withGetter('message'), /not an Error|Error/],
  ['an error whose name throws', withGetter('name'), /out of luck/],
  ['an error whose code throws', withGetter('code'), /out of luck/],
  ['an object of which no field can be read', hostile(), /not an Error/],
  ['a NUL in a message', new Error('a\0b'), /a.b/],
  ['a NUL in a code', Object.assign(new Error('x'), { code: 'A\0B' }), /x/],
  ['a NUL in a name', Object.assign(new Error('x'), { name: 'N\0' }), /x/],
  ['half a character', new Error('half \ud83d.'), /half .\./],
  ['half a character in a text', '\udc00 half', / half/],
  ['a very long message', new Error('💥'.repeat(100_000)), /💥…$/],
]

await onEachDatabase('what handlers throw', (open: () => Promise<DatabaseRig>) => {
  let rig: DatabaseRig
  const ends: (() => Promise<unknown>)[] = []
  beforeEach(async () => {
    rig = await open()
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
    await rig.close()
  })
  const closing = <T extends { close(): Promise<unknown> }>(one: T): T => {
    ends.push(() => one.close())
    return one
  }
  const onceOf = (onError?: OnError) => {
    const db = rig.open() as never
    const store = closing(
      rig.dialect === 'sqlite'
        ? sqliteStore(db)
        : rig.dialect === 'mysql'
          ? mysqlStore(db)
          : postgresStore(db),
    )
    return createOnce({ store, scope: 's', cache: false, ...(onError && { onError }) })
  }

  it('ends tasks, and their histories tell of it', async () => {
    const tasks = closing(createTasks({ db: rig.open() }))
    const worker = tasks.worker({
      pollMs: 5,
      handlers: {
        work: ({ input }) => {
          throw STRANGE[input as number]?.[1]
        },
      },
    })
    for (const onError of ['retry', 'hold'] as const) {
      const made = await tasks.create(
        STRANGE.map((_, input) => ({ userId: 'u', actionType: 'work', input, maxAttempts: 1, onError })),
      )
      for (const [index, { task }] of made.entries()) {
        const [what, , told] = STRANGE[index] as (typeof STRANGE)[number]
        const result = await tasks.result(task.id, { waitMs: 10_000 })
        expect(result, what).toMatchObject({
          outcome: onError === 'hold' ? 'held' : 'dead',
          failure: { message: legible(what === 'an error without a message' ? /^$/ : told) },
        })
        const ended = await tasks.get(task.id)
        expect(ended?.history, what).toMatchObject([{ note: legible(told) }])
      }
    }
    await worker.stop()
  })

  it('goes through the inbox as it is, and its failures tell of it', async () => {
    const inbox = closing(createInbox({ db: rig.open(), consumer: 'c', maxAttempts: 2 }))
    for (const [index, [what, thrown, told]] of STRANGE.entries()) {
      const id = `m${String(index).padStart(2, '0')}`
      const deliver = () =>
        inbox.process(id, () => {
          throw thrown
        })
      expect(Object.is((await caught(deliver())).error, thrown), what).toBe(true)
      const outcome = await deliver()
      expect(outcome, what).toMatchObject({ outcome: 'dead', attempts: 2 })
      expect(Object.is('cause' in outcome && outcome.cause, thrown), what).toBe(true)
      const failed = (await inbox.failures()).find((one) => one.id === id)
      expect(failed?.history, what).toMatchObject([
        { event: 'failed', note: legible(told) },
        { event: 'dead', note: legible(told) },
      ])
    }
  })

  it('makes events of the outbox dead, and their histories tell of it', async () => {
    const outbox = closing(createOutbox({ db: rig.open() }))
    const events = STRANGE.map((_, payload) => ({ topic: 't', payload }))
    const ids = await rig.transact(({ handle }) => outbox.add(handle, events))
    const relay = outbox.relay({
      publish({ payload }) {
        throw STRANGE[payload as number]?.[1]
      },
      maxAttempts: 2,
      pollMs: 5,
      backOffMs: 1,
    })
    relay.start()
    await expect.poll(async () => (await outbox.stats()).dead, { timeout: 10_000 }).toBe(STRANGE.length)
    for (const [index, [what, , told]] of STRANGE.entries()) {
      const { history } = (await outbox.get(ids[index] ?? '')) ?? {}
      expect(history, what).toMatchObject([{ note: legible(told) }, { note: legible(told) }])
    }
  })

  it.each(['hold', 'store', 'release'] as const)('is kept of an operation: %s', async (onError) => {
    const once = onceOf(onError)
    const tokens = createTokens({ once })
    for (const [what, thrown, told] of STRANGE) {
      const run = () =>
        once.run({ key: what }, () => {
          throw thrown
        })
      const { error } = await caught(run())
      if (onError === 'release') expect(Object.is(error, thrown), what).toBe(true)
      else {
        expect(isOncewardError(error), what).toBe(true)
        expect(error, what).toMatchObject({ message: legible(told) })
        expect(Object.is((error as Error).cause, thrown), what).toBe(true)
      }
      const record = await once.get(what)
      const kept = JSON.stringify(record)
      expect(kept, what).toEqual(legible(/thr|fail|released/))
      if (onError === 'store')
        expect(await caught(run()), what).toMatchObject({ error: { message: legible(told) } })

      const token = await tokens.issue({ scope: 'public' })
      const { error: redeemed } = await caught(
        tokens.redeem(token, () => {
          throw thrown
        }),
      )
      if (onError === 'release') expect(Object.is(redeemed, thrown), what).toBe(true)
      else expect(redeemed, what).toMatchObject({ message: legible(told) })
    }
  })

  it('goes through a transaction of an operation as it is', async () => {
    const once = onceOf()
    for (const [what, thrown] of STRANGE) {
      const fail = () => {
        throw thrown
      }
      expect(Object.is((await caught(once.transaction({ key: what }, fail))).error, thrown), what).toBe(true)
      const within = rig.transact(({ handle }) => once.within(handle as never, { key: what }, fail) as never)
      expect(Object.is((await caught(within)).error, thrown), what).toBe(true)
      expect(await once.get(what), what).toBeUndefined()
    }
  })
})

/** Well-formed text without NUL, of a bounded length, that says this. */
function legible(told: RegExp): string {
  return expect.toSatisfy(
    (text) =>
      typeof text === 'string' &&
      told.test(text) &&
      text.isWellFormed() &&
      !text.includes('\0') &&
      !text.includes('\\u0000') &&
      !text.includes('\\ud83d') &&
      text.length < 5000,
    `is legible and says ${told}`,
  ) as string
}

/** In a box: what was thrown must not be taken for a promise. */
async function caught(promise: Promise<unknown>): Promise<{ readonly error: unknown }> {
  try {
    await promise
  } catch (error) {
    return { error }
  }
  throw new TypeError('nothing was thrown')
}

function withGetter(field: string): Error {
  return Object.defineProperty(new Error('out of luck'), field, {
    get() {
      throw new Error('no')
    },
  })
}

function hostile(): object {
  const refuse = () => {
    throw new Error('do not look')
  }
  return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse })
}
