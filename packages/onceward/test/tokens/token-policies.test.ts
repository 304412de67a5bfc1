import { expect, it } from 'vitest'
import { createOnce, type OnceOptions } from '../../src/core/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { createTokens } from '../../src/tokens/index.ts'
import { inSqlite, sealed } from './token-stores.ts'

it.each<readonly [string, Partial<OnceOptions>]>([
  ['stores nothing of values', { redact: () => 'withheld' }],
  [
    'has a redact that throws',
    {
      redact: () => {
        throw new Error('no')
      },
    },
  ],
  [
    'has a codec for something else',
    {
      codec: {
        encode: () => {
          throw new TypeError('no response')
        },
        decode: () => 1,
      },
    },
  ],
  ['stores no value of any size', { maxValueBytes: 0 }],
  ['forgets at once', { retentionMs: 1 }],
  ['asks what became of held operations', { reconcile: () => ({ outcome: 'not-happened' }) }],
  ['waits for nobody', { whenRunning: 'reject', waitMs: 0 }],
])('tokens of an instance that %s are used once, with their payload', async (_, options) => {
  const store = memoryStore()
  const on = () => createTokens({ once: createOnce({ store, scope: 'shop', cache: false, ...options }) })
  const token = await on().issue({ scope: 'ann', payload: { cart: 7 } })
  const answers = await Promise.all([on().consume(token), on().consume(token), on().consume(token)])
  expect(answers.filter(({ outcome }) => outcome === 'consumed')).toEqual([
    { outcome: 'consumed', payload: { cart: 7 } },
  ])
  expect(await on().consume(token)).toEqual({ outcome: 'used' })
  await expect(on().redeem(token, () => 1)).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
})

it.each([
  ['seals', sealed(inSqlite), false],
  ['keeps (the search is one that finds)', inSqlite, true],
])('a store %s the payload', async (_, open, found) => {
  const rig = await open()
  try {
    const tokens = createTokens({ once: createOnce({ store: rig.stores[0], scope: 'shop' }) })
    await tokens.issue({ scope: 'ann', payload: 'CANARY' })
    expect((await rig.dump()).includes('CANARY')).toBe(found)
  } finally {
    await rig.close()
  }
})

it('two instances of different namespaces on one store know nothing of each other', async () => {
  const store = memoryStore()
  const [shop, bank] = ['shop', 'bank'].map((scope) => createTokens({ once: createOnce({ store, scope }) }))
  const token = (await shop?.issue({ scope: 'ann' })) ?? ''
  expect(await bank?.consume(token)).toEqual({ outcome: 'unknown' })
  expect(shop?.operationOf(token, 'ann')?.digest).not.toBe(bank?.operationOf(token, 'ann')?.digest)
  expect(shop?.operationOf('no token', 'ann')).toBeUndefined()
})

it('a token that is redeemed inside the work of itself is refused as re-entrant, and one of another is not', async () => {
  const tokens = createTokens({ once: createOnce({ store: memoryStore(), scope: 'shop' }) })
  const [one, other] = [await tokens.issue({ scope: 'ann' }), await tokens.issue({ scope: 'ann' })]
  const inner = await tokens.redeem(one, async () => [
    await tokens.redeem(other, () => 'other'),
    await tokens.redeem(one, () => 'never').catch((error: { code: string }) => error.code),
  ])
  expect(inner).toEqual(['other', 'REENTRANT'])
})
