import { describe, expect, it } from 'vitest'
import { joining } from './joining.ts'

/** A client of `pg` that writes down what it is sent; `answer` may throw for a statement. */
function recording(answer: (sql: string) => void = () => {}) {
  const sent: string[] = []
  const client = {
    async query({ text }: { readonly text: string }) {
      sent.push(text.replace(/onceward_\w+?_/, ''))
      answer(text)
      return { rows: [], rowCount: 0 }
    },
  }
  return { client, sent }
}

const serverError = (code: string) => Object.assign(new Error('the server says no'), { code })

describe('savepoints', () => {
  it('of one handle that are begun at the same time never cross, and nested ones do not wait', async () => {
    const { client, sent } = recording()
    const { savepoint } = joining('postgres')
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    await Promise.all([
      savepoint(client, async () => {
        await turn()
        await Promise.all([savepoint(client, turn), savepoint(client, turn)])
      }),
      savepoint(client, turn),
    ])
    expect(sent).toEqual([
      'SAVEPOINT 0',
      'SAVEPOINT 1',
      'RELEASE SAVEPOINT 1',
      'SAVEPOINT 1',
      'RELEASE SAVEPOINT 1',
      'RELEASE SAVEPOINT 0',
      'SAVEPOINT 0',
      'RELEASE SAVEPOINT 0',
    ])
  })

  it('begun by what an ended one has left behind wait as all others do', async () => {
    const { client, sent } = recording()
    const { savepoint } = joining('postgres')
    let late: Promise<unknown> | undefined
    await savepoint(client, async () => {
      setImmediate(() => {
        late = savepoint(client, async () => 'late')
      })
    })
    await savepoint(client, async () => {
      while (late === undefined) await new Promise((resolve) => setImmediate(resolve))
      await savepoint(client, async () => 'inner')
    })
    expect(await late).toBe('late')
    expect(sent.filter((text) => text.startsWith('SAVEPOINT'))).toEqual([
      'SAVEPOINT 0',
      'SAVEPOINT 0',
      'SAVEPOINT 1',
      'SAVEPOINT 0',
    ])
  })

  it('of two stores on one handle have names of their own', async () => {
    const seen: string[] = []
    const { client } = recording((sql) => void seen.push(sql))
    const [one, two] = [joining('postgres'), joining('postgres')]
    await one.savepoint(client, () => two.savepoint(client, () => 1))
    expect(new Set(seen.filter((text) => text.startsWith('SAVEPOINT'))).size).toBe(2)
    expect(seen).toHaveLength(4)
  })

  it('pass on what was thrown although the server has undone the whole transaction', async () => {
    const { client } = recording((sql) => {
      if (sql.startsWith('ROLLBACK TO')) throw serverError('3B001')
    })
    const deadlock = serverError('40P01')
    const run = joining('postgres').savepoint(client, () => Promise.reject(deadlock))
    await expect(run).rejects.toBe(deadlock)
  })

  it.each([
    ['has ended the transaction', '25P01', /ended the transaction itself/],
    ['has begun another one', '3B001', /ended the transaction itself/],
    ['has gone on after a failed statement', '25P02', /has failed and the work has gone on/],
  ])('tell work that %s', async (_, code, message) => {
    const { client } = recording((sql) => {
      if (sql.startsWith('RELEASE')) throw serverError(code)
    })
    const run = joining('postgres').savepoint(client, async () => 1)
    await expect(run).rejects.toThrow(message)
    await expect(run).rejects.toBeInstanceOf(TypeError)
  })

  it.each([
    ['is not open', '25P01', /no transaction is open/],
    ['was aborted before', '25P02', /aborted by a statement that failed before/],
  ])('tell a transaction that %s', async (_, code, message) => {
    const { client, sent } = recording(() => {
      throw serverError(code)
    })
    let ran = false
    const run = joining('postgres').savepoint(client, async () => {
      ran = true
    })
    await expect(run).rejects.toThrow(message)
    expect([ran, sent]).toEqual([false, ['SAVEPOINT 0']])
  })

  it('that fail for another reason are told as the store tells it', async () => {
    const { client } = recording(() => {
      throw serverError('57P01')
    })
    const { savepoint } = joining('postgres', { failure: () => new Error('as the store says') })
    await expect(savepoint(client, async () => 1)).rejects.toThrow('as the store says')
  })
})

it('what is no handle at all is refused, with all that would do', () => {
  for (const nothing of [undefined, null, 1, 'tx', {}, () => 1]) {
    expect(() => joining('postgres').sessionOf(nothing)).toThrow(/pg, postgres, Drizzle, Kysely/)
    expect(() => joining('mysql').sessionOf(nothing)).toThrow(/mysql2, Drizzle/)
  }
  const mysql2 = { query() {}, execute() {} }
  expect(() => joining('postgres').sessionOf(mysql2)).toThrow(/one of mysql2/)
})
