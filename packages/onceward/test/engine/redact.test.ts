import { describe, expect, it } from 'vitest'
import { createOnce, finalFailure, noEffect, type Redact, type RedactContext } from '../../src/core/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { bench, gate } from './bench.ts'

interface Card {
  readonly id: string
  readonly number: string
}
const card: Card = { id: 'c1', number: '4242' }
const stored: Card = { id: 'c1', number: '****' }

/** Keeps card numbers out of the store, and says what it was asked about. */
function redactor(): { readonly asked: RedactContext[]; readonly redact: Redact } {
  const asked: RedactContext[] = []
  return {
    asked,
    redact(found, about) {
      asked.push(about)
      if (about.kind === 'error') return new Error((found as Error).message.replace(/\d{4}/, '****'))
      return { ...(found as Card), number: '****' }
    },
  }
}

const refused = (message = 'card 4242 was refused') => Object.assign(new Error(message), { code: '4242' })

describe('redact', () => {
  it('gives the caller that ran the work its full value, and everybody else what was stored', async () => {
    const { asked, redact } = redactor()
    const { once, store } = bench({ redact })
    const { promise, resolve } = gate<Card>()
    const first = once.run({ key: 'k' }, () => promise)
    const coalesced = once.run({ key: 'k' }, () => card)
    resolve(card)
    expect(await first).toEqual(card)
    expect(await coalesced).toEqual(stored)
    expect(await once.run({ key: 'k' }, () => card)).toEqual(stored)
    const other = createOnce({ store, scope: 's' })
    expect(await other.run({ key: 'k' }, () => card)).toEqual(stored)
    expect(asked).toMatchObject([{ kind: 'value', id: { scope: 's', key: 'k' } }])
    expect(card.number).toBe('4242')
  })

  it('can be given for one call', async () => {
    const { once, store } = bench()
    await once.run({ key: 'k', redact: redactor().redact }, () => card)
    expect(await createOnce({ store, scope: 's' }).run({ key: 'k' }, () => card)).toEqual(stored)
  })

  it('is asked about a final failure, whose own caller gets all of it', async () => {
    const { once, store } = bench({ redact: redactor().redact, cache: false })
    const failing = () => once.run({ key: 'k' }, () => Promise.reject(finalFailure(refused())))
    await expect(failing()).rejects.toMatchObject({ message: /card 4242/, cause: { code: '4242' } })
    const again = await failing().catch((error: unknown) => error as Error)
    expect(again).toMatchObject({ code: 'OPERATION_FAILED', message: /card \*\*\*\* was refused/ })
    expect(JSON.stringify([await once.get('k'), await store.list({})])).not.toContain('4242')
  })

  it('is asked about what is only noted: why an operation is held, or was given back', async () => {
    const { once } = bench({ redact: redactor().redact })
    await expect(once.run({ key: 'held' }, () => Promise.reject(refused()))).rejects.toThrow(/card 4242/)
    await expect(once.run({ key: 'released' }, () => Promise.reject(noEffect(refused())))).rejects.toThrow(
      'card 4242 was refused',
    )
    const [held, released] = [await once.get('held'), await once.get('released')]
    expect(held?.heldReason).toBe('the work threw Error: card **** was refused')
    expect(released?.history.at(-1)?.note).toBe('Error: card **** was refused')
  })

  it('is asked about steps, whose next attempt gets what was stored', async () => {
    const { asked, redact } = redactor()
    const { once } = bench({ redact, onError: 'release' })
    const seen: unknown[] = []
    const run = (fails: boolean) =>
      once.run({ key: 'k' }, async (op) => {
        seen.push(await op.step('charge', () => card))
        if (fails) throw new Error('later')
        return card
      })
    await expect(run(true)).rejects.toThrow('later')
    await run(false)
    expect(seen).toEqual([card, stored])
    expect(asked).toMatchObject([{ kind: 'step', step: 'charge' }, { kind: 'error' }, { kind: 'value' }])
  })

  it('is asked about what reconcile answers', async () => {
    const { once, store } = bench({ redact: redactor().redact, cache: false })
    const hold = (key: string) =>
      once.run({ key }, () => Promise.reject(new Error('no reply'))).catch(() => {})
    await hold('done')
    await hold('failed')
    const ask = (key: string, answer: 'done' | 'failed') =>
      once.run(
        {
          key,
          reconcile: () =>
            answer === 'done' ? { outcome: 'done', value: card } : { outcome: 'failed', error: refused() },
        },
        () => card,
      )
    expect(await ask('done', 'done')).toEqual(stored)
    await expect(ask('failed', 'failed')).rejects.toThrow(/card \*\*\*\*/)
    expect(JSON.stringify(await store.list({}))).not.toContain('4242')
  })

  it('is asked in transactions too, the failures of which are remembered after the rollback', async () => {
    const store = sqliteStore(':memory:')
    await store.migrate()
    const once = createOnce({ store, scope: 's', cache: false, redact: redactor().redact })
    const place = () => once.transaction({ key: 'k' }, () => card)
    expect([await place(), await place()]).toEqual([card, stored])
    const failing = () =>
      once.transaction({ key: 'failed' }, () => {
        throw finalFailure(refused())
      })
    await expect(failing()).rejects.toThrow(/card 4242/)
    await expect(failing()).rejects.toThrow(/card \*\*\*\*/)
    store.database.exec('BEGIN IMMEDIATE')
    expect(once.withinSync(store.database, { key: 'within' }, () => card)).toEqual(card)
    expect(once.withinSync(store.database, { key: 'within' }, () => card)).toEqual(stored)
    store.database.exec('COMMIT')
    await store.close()
  })

  it.each<[string, Redact]>([
    [
      'throws',
      () => {
        throw new Error('4242')
      },
    ],
    ['answers a promise', () => Promise.reject(new Error('4242'))],
  ])('stores nothing of a value where it %s, and the work is not run again', async (_name, redact) => {
    const events: string[] = []
    const { once, store } = bench({ redact, observer: ({ type }) => events.push(type) })
    let ran = 0
    const run = () =>
      once.run({ key: 'k' }, () => {
        ran++
        return card
      })
    expect(await run()).toEqual(card)
    await expect(run()).rejects.toMatchObject({ code: 'OUTCOME_NOT_REPLAYABLE', effect: 'done' })
    const other = createOnce({ store, scope: 's', onCrash: 'rerun' })
    await expect(other.run({ key: 'k' }, () => ran++)).rejects.toMatchObject({
      code: 'OUTCOME_NOT_REPLAYABLE',
      message: /redact threw/,
    })
    await expect(once.run({ key: 'f' }, () => Promise.reject(finalFailure(refused())))).rejects.toThrow(
      /4242/,
    )
    await expect(other.run({ key: 'f' }, () => ran++)).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      message: /redact threw/,
    })
    expect(ran).toBe(1)
    expect(events).toContain('not-replayable')
    expect(JSON.stringify(await store.list({}))).not.toContain('4242')
  })

  it('must be a function', () => {
    expect(() => createOnce({ store: memoryStore(), scope: 's', redact: ['number'] as never })).toThrow(
      new TypeError('redact must be a function that answers what is stored'),
    )
  })
})
