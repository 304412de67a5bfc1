/** The port that capabilities with tables of their own stand on, on every database. */
import { afterEach, describe, expect, it } from 'vitest'
import {
  ask,
  NOW_MS,
  openDatabase,
  type SqlDatabase,
  type SqlStatement,
} from '../../src/drivers/database/index.ts'
import { type DatabaseRig, onEachDatabase } from './on-each-database.ts'

describe('what is given as a database', () => {
  it.each([
    ['an empty path', ''],
    ['a URL', 'postgres://app:secret@db/app'],
    ['the URL of a file', 'sqlite:data.sqlite'],
    ['nothing', undefined],
    ['a number', 7],
    ['an object of another kind', {}],
    ['one connection of mysql2', { query() {}, execute() {} }],
    ['one client of pg', { query() {}, connect() {} }],
  ])('is refused with the mend where it is %s, without a word of its password', (_, db) => {
    const opening = () => openDatabase(db as never, {}, 'createTasks')
    expect(opening).toThrow(TypeError)
    expect(opening).toThrow(/createTasks .*(?:pool|path|URL)/i)
    expect(opening).not.toThrow(/secret/)
  })
})

await onEachDatabase('a database of capabilities', (open) => {
  let rig: DatabaseRig | undefined
  const opened: SqlDatabase[] = []
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()))
    await rig?.close()
    rig = undefined
  })
  const start = async () => {
    rig = await open()
    await rig.sql('CREATE TABLE things (id INTEGER PRIMARY KEY, note VARCHAR(200))')
    const database = openDatabase(rig.open(), {}, 'a test')
    opened.push(database)
    const parameter = (index: number, type: string) =>
      rig?.dialect === 'postgres' ? `$${index}::${type}` : '?'
    const insert: SqlStatement = {
      text: `INSERT INTO things (id, note) VALUES (${parameter(1, 'integer')}, ${parameter(2, 'text')})`,
      columns: [],
    }
    const all: SqlStatement = {
      text: `SELECT id${rig.dialect === 'postgres' ? '::text' : ''} AS id, note FROM things ORDER BY things.id`,
      columns: ['id', 'note'],
    }
    const things = async () =>
      (await database.read({ statement: all, values: [] })).rows.map(({ id, note }) => [Number(id), note])
    return { rig, database, insert, all, things }
  }

  it('writes one statement, and tells how many rows it has written', async () => {
    const { database, insert, things } = await start()
    expect(await database.write({ statement: insert, values: [1, 'a'] })).toMatchObject({ affected: 1 })
    expect(await things()).toEqual([[1, 'a']])
  })

  it('commits work as a whole, and undoes it as a whole when it throws', async () => {
    const { database, insert, all, things } = await start()
    const seen = await database.transaction(function* () {
      yield* ask(insert, [1, 'a'])
      const { rows } = yield* ask(all)
      return rows.length
    })
    expect(seen).toBe(1)
    const boom = new Error('boom')
    const failing = database.transaction(function* () {
      yield* ask(insert, [2, 'b'])
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await things()).toEqual([[1, 'a']])
  })

  it('lets work catch what a statement throws, and gives an error of ours to whoever does not', async () => {
    const { database, insert } = await start()
    await database.write({ statement: insert, values: [1, 'a'] })
    await expect(database.write({ statement: insert, values: [1, 'again'] })).rejects.toMatchObject({
      name: 'OncewardError',
      effect: 'none',
    })
    const caught = database.transaction(function* () {
      try {
        yield* ask(insert, [1, 'again'])
      } catch {
        return 'caught'
      }
      return 'not caught'
    })
    // PostgreSQL lets nothing more succeed in that transaction, and a swallowed error is told.
    if (database.dialect === 'postgres') await expect(caught).rejects.toMatchObject({ effect: 'none' })
    else expect(await caught).toBe('caught')
  })

  it('joins the transaction of a caller: committed with it, and undone with it', async () => {
    const { rig, database, insert, things } = await start()
    const add = (id: number) =>
      function* () {
        yield* ask(insert, [id, 'joined'])
        return id
      }
    expect(await rig.transact(({ handle }) => database.within(handle, add(1)))).toBe(1)
    const undone = rig.transact(async ({ handle }) => {
      await database.within(handle, add(2))
      throw new Error('never mind')
    })
    await expect(undone).rejects.toThrow('never mind')
    expect(await things()).toEqual([[1, 'joined']])
  })

  it('refuses a root as a transaction', async () => {
    const { rig, database, all } = await start()
    const joining = async () => database.within(rig.open(), () => ask(all))
    await expect(joining()).rejects.toThrow(TypeError)
  })

  it('gives a body of the user its handle, and commits both', async () => {
    const { database, insert, things } = await start()
    const add = (id: number) =>
      function* () {
        yield* ask(insert, [id, 'by a body'])
      }
    await database.transact(({ handle, run }) => {
      expect(handle).toBeTypeOf(database.dialect === 'postgres' ? typeof handle : 'object')
      return run(add(1))
    })
    const boom = new Error('boom')
    const failing = database.transact(({ run }) => {
      const done = run(add(2))
      if (done instanceof Promise)
        return done.then(() => {
          throw boom
        })
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await things()).toEqual([[1, 'by a body']])
  })

  it.each(['COMMIT', 'ROLLBACK', 'ROLLBACK, BEGIN'])(
    'tells a body that ends its transaction itself by %s, and keeps nothing that it has begun then',
    async (how) => {
      const { database, insert, things } = await start()
      const add = () => ask(insert, [1, 'after'])
      const ending = database.transact<unknown>((tx): unknown => {
        const handle = tx.handle as { exec?(text: string): void } & ((text: string) => void)
        const statements = how.split(', ')
        if (database.dialect === 'sqlite') {
          for (const statement of statements) handle.exec?.(statement)
          return how.endsWith('BEGIN') ? tx.run(add) : undefined
        }
        return (async () => {
          for (const statement of statements) await runOn(tx.handle, statement)
          if (how.endsWith('BEGIN')) await tx.run(add)
        })()
      })
      // The package `postgres` refuses a BEGIN of its own accord.
      const refusal = { name: expect.stringMatching(/^TypeError$|^PostgresError$|^Error$/) }
      await expect(ending).rejects.toMatchObject(how.endsWith('BEGIN') ? refusal : { name: 'TypeError' })
      expect(await things()).toEqual([])
    },
  )

  it('runs work again that others have undone, and adds up to the truth', async () => {
    const { rig, database } = await start()
    await rig.sql("INSERT INTO things (id, note) VALUES (1, '0')")
    await rig.sql("INSERT INTO things (id, note) VALUES (2, '0')")
    const text = database.dialect === 'postgres' ? '$1::integer' : '?'
    const number = database.dialect === 'mysql' ? 'SIGNED' : 'INTEGER'
    const bump: SqlStatement = {
      text: `UPDATE things SET note = CAST(CAST(note AS ${number}) + 1 AS CHAR(20)) WHERE id = ${text}`,
      columns: [],
    }
    const other = openDatabase(rig.open(), {}, 'a test')
    opened.push(other)
    // In opposite orders: deadlocks on a server.
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        (index % 2 ? database : other).transaction(function* () {
          yield* ask(bump, [(index % 2) + 1])
          yield* ask(bump, [2 - (index % 2)])
        }),
      ),
    )
    const rows = await rig.sql('SELECT note FROM things ORDER BY id')
    expect(rows.map(({ note }) => Number(note))).toEqual([8, 8])
  })

  it('tells the time of the server in ms', async () => {
    const { database } = await start()
    const { rows } = await database.read({
      statement: {
        text: `SELECT ${database.dialect === 'postgres' ? `(${NOW_MS.postgres})::text` : NOW_MS[database.dialect]} AS now`,
        columns: ['now'],
      },
      values: [],
    })
    expect(Math.abs(Number(rows[0]?.['now']) - Date.now())).toBeLessThan(5000)
  })

  it('wakes those who listen in this process, and refuses calls after it was closed', async () => {
    const { database, insert } = await start()
    const hints = database.hints('onceward_test')
    // What is told before the server has it that somebody listens is not heard.
    const again = setInterval(() => hints.tell(), 100)
    await new Promise<void>((resolve) => {
      const listening = hints.listen(() => {
        listening.stop()
        resolve()
      })
    }).finally(() => clearInterval(again))
    await hints.close()
    await database.close()
    await expect(database.write({ statement: insert, values: [1, 'a'] })).rejects.toMatchObject({
      code: 'CLOSED',
    })
  })
})

/** Runs a statement of the user on the handle of whatever driver. */
function runOn(handle: object, statement: string): PromiseLike<unknown> {
  const { unsafe, query } = handle as {
    unsafe?(text: string): PromiseLike<unknown>
    query?(text: string): PromiseLike<unknown>
  }
  return unsafe ? unsafe.call(handle, statement) : (query?.call(handle, statement) ?? Promise.resolve())
}
