import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createOnce, finalFailure, type Once, OncewardError } from '../../src/core/index.ts'
import type { OpenedTransactionalStore } from '../../src/testing/index.ts'
import {
  type TransactionalMemory,
  type Tx,
  transactionalHarness,
} from '../broken-stores/transactional-rig.ts'

let opened: OpenedTransactionalStore<TransactionalMemory, Tx>
let once: Once

beforeEach(async () => {
  opened = await transactionalHarness('async').open()
  once = createOnce({ store: opened.stores[0], scope: 'shop', cache: false })
})
afterEach(() => opened.close())

const deadlock = () => opened.conflict?.()

describe('a transaction that the server undoes', () => {
  it('is run again whole, and tells its work how often', async () => {
    const attempts: number[] = []
    const value = await once.transaction({ key: 'k' }, async (tx: Tx, op) => {
      attempts.push(op.attempt)
      await opened.insert(tx, `attempt ${op.attempt}`)
      if (op.attempt < 3) throw new Error('query failed', { cause: deadlock() })
      return { at: new Date(3) }
    })
    expect(attempts).toEqual([1, 2, 3])
    expect(value).toEqual({ at: new Date(3) })
    expect(await opened.rows()).toEqual(['attempt 3'])
    expect(await once.get('k')).toMatchObject({ state: 'done', attempt: 1 })
    expect(await once.transaction({ key: 'k' }, () => 'again')).toEqual(value)
  })

  it('counts on from the attempt of its claim', async () => {
    const work = once.run({ key: 'k', onError: 'release' }, () => Promise.reject(new Error('no')))
    await expect(work).rejects.toThrow('no')
    const attempts: number[] = []
    await once.transaction({ key: 'k' }, async (_tx: Tx, op) => {
      attempts.push(op.attempt)
      if (attempts.length === 1) throw deadlock()
    })
    expect(attempts).toEqual([2, 3])
  })

  it('tells what a run has left behind that it is over, and only then', async () => {
    const signals: AbortSignal[] = []
    let late: AbortSignal | undefined
    await once.transaction({ key: 'k' }, async (_tx: Tx, op) => {
      if (signals.length === 0) {
        signals.push(op.signal)
        expect(op.signal.aborted).toBe(false)
        setImmediate(() => {
          late = op.signal
        })
        throw deadlock()
      }
      expect(signals[0]?.aborted).toBe(true)
      signals.push(op.signal)
      await new Promise((resolve) => setImmediate(resolve))
    })
    expect(signals[0]?.reason).toMatchObject({ code: 'ABORTED' })
    expect(late).toBe(signals[0])
    expect(signals[1]).not.toBe(signals[0])
    expect(signals[1]?.aborted).toBe(false)
  })

  it('aborts the signal that is asked for after the run was rolled back', async () => {
    let handle: { readonly signal: AbortSignal } | undefined
    const run = once.transaction({ key: 'k' }, async (_tx: Tx, op) => {
      handle = op
      throw new Error('declined')
    })
    await expect(run).rejects.toThrow('declined')
    expect(handle?.signal.aborted).toBe(true)
  })

  it('is no failure of the work: nothing is stored, whatever onError says', async () => {
    let runs = 0
    const run = once.transaction({ key: 'k', onError: 'store' }, async () => {
      runs++
      throw deadlock()
    })
    await expect(run).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none', retryable: true })
    expect(runs).toBeGreaterThan(1)
    expect(await once.get('k')).toBeUndefined()
    expect(await once.transaction({ key: 'k' }, async () => 'runs')).toBe('runs')
  })

  it('stores the final failure of the run that counts', async () => {
    const run = once.transaction({ key: 'k' }, async (_tx: Tx, op) => {
      if (op.attempt === 1) throw deadlock()
      throw finalFailure(new Error('sold out'))
    })
    await expect(run).rejects.toMatchObject({ code: 'OPERATION_FAILED', cause: { message: 'sold out' } })
    expect(await once.get('k')).toMatchObject({ state: 'done' })
  })

  it('may find, the second time, that somebody else was faster', async () => {
    let runs = 0
    const { transaction } = opened.stores[0]
    const store: TransactionalMemory = {
      ...opened.stores[0],
      // Between the two runs another process commits the same key.
      transaction: async <T>(body: (tx: Tx) => T | Promise<T>): Promise<T> => {
        const first = await transaction(body).catch((error: unknown) => error)
        expect(first).toMatchObject({ message: 'undone' })
        await once.transaction({ key: 'k' }, async () => 'theirs')
        return transaction(body)
      },
    }
    const mine = createOnce({ store, scope: 'shop', cache: false })
    const value = await mine.transaction({ key: 'k' }, async () => {
      runs++
      throw new Error('undone')
    })
    expect(value).toBe('theirs')
    expect(runs).toBe(1)
  })
})

describe('a transaction whose key another one holds for long', () => {
  const patient = (store: Partial<TransactionalMemory>) =>
    createOnce({ store: { ...opened.stores[0], ...store }, scope: 'shop', cache: false })
  const inProgress = () => {
    throw new OncewardError('IN_PROGRESS', 'another transaction has claimed this key', { retryAfterMs: 1 })
  }

  it('asks again for as long as its caller waits', async () => {
    let asked = 0
    const { claimIn } = opened.stores[0]
    const waiting = patient({
      claimIn: (tx, request) => (++asked < 4 ? inProgress() : claimIn(tx, request)),
    })
    expect(await waiting.transaction({ key: 'k' }, async () => 'mine')).toBe('mine')
    expect(asked).toBe(4)
  })

  it('is turned away when its caller does not wait, or not so long', async () => {
    const never = patient({ claimIn: inProgress })
    const expected = { code: 'IN_PROGRESS', effect: 'none', retryable: true }
    const rejecting = never.transaction({ key: 'k', whenRunning: 'reject' }, async () => 1)
    await expect(rejecting).rejects.toMatchObject(expected)
    await expect(never.transaction({ key: 'k', waitMs: 30 }, async () => 1)).rejects.toMatchObject(expected)
  })

  it('is turned away within a transaction of the caller', async () => {
    const never = patient({ claimIn: inProgress })
    await opened.stores[0].transaction(async (tx) => {
      await expect(never.within(tx, { key: 'k' }, async () => 1)).rejects.toMatchObject({
        code: 'IN_PROGRESS',
      })
    })
  })

  it('passes an error on that its own work has met', async () => {
    let runs = 0
    const run = once.transaction({ key: 'k' }, async () => {
      runs++
      return inProgress()
    })
    await expect(run).rejects.toMatchObject({ code: 'IN_PROGRESS' })
    expect(runs).toBe(1)
  })
})

describe('within, on a store with an asynchronous driver', () => {
  it('waits for its work, and commits with the caller', async () => {
    const { stores } = opened
    await stores[0].transaction(async (tx) => {
      const value = await once.within(tx, { key: 'k' }, async () => {
        await opened.insert(tx, 'row')
        return 1n
      })
      expect(value).toBe(1n)
      expect(await once.get('k')).toBeUndefined()
    })
    expect(await once.get('k')).toMatchObject({ state: 'done' })
    expect(await opened.rows()).toEqual(['row'])
  })

  it('undoes its own writes only, and tells what it has left behind', async () => {
    let signal: AbortSignal | undefined
    await opened.stores[0].transaction(async (tx) => {
      await opened.insert(tx, 'kept')
      const work = once.within(tx, { key: 'k' }, async (op) => {
        signal = op.signal
        await opened.insert(tx, 'lost')
        throw new Error('declined')
      })
      await expect(work).rejects.toThrow('declined')
    })
    expect(await opened.rows()).toEqual(['kept'])
    expect(signal?.aborted).toBe(true)
    expect(await once.get('k')).toBeUndefined()
  })

  it('throws a deadlock to the caller, whose transaction it is', async () => {
    let runs = 0
    const caller = await opened.begin?.('read committed')
    const work = once.within(caller?.tx, { key: 'k' }, async () => {
      runs++
      throw deadlock()
    })
    await expect(work).rejects.toMatchObject({ code: 'DEADLOCK' })
    expect(runs).toBe(1)
    await caller?.rollback()
  })

  it('runs two operations one after the other, although both were begun at once', async () => {
    await opened.stores[0].transaction(async (tx) => {
      const place = (key: string, error?: Error) =>
        once.within(tx, { key }, async () => {
          await opened.insert(tx, key)
          if (error) throw error
        })
      const ends = await Promise.allSettled([place('a'), place('b', new Error('declined')), place('c')])
      expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    })
    expect(await opened.rows()).toEqual(['a', 'c'])
  })

  it('refuses a handle on which no transaction is open', async () => {
    const work = once.within(opened.outside(), { key: 'k' }, async () => 1)
    await expect(work).rejects.toBeInstanceOf(TypeError)
    expect(await once.get('k')).toBeUndefined()
  })
})
