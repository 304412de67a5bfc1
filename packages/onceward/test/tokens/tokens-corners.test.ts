import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { createTokens } from '../../src/tokens/index.ts'

it('redeem goes on after more deaths than the history of its operation holds, long after the token has expired', async () => {
  const time = manualTime()
  const store = memoryStore({ clock: time })
  // A process of its own, whose claims are never renewed: it dies in its work.
  const process = () => {
    const timers = { after: () => () => undefined }
    const once = createOnce({ store, scope: 'shop', clock: time, timers, leaseMs: 10_000, onCrash: 'rerun' })
    return createTokens({ once })
  }
  const token = await process().issue({ scope: 'ann', ttlMs: 60_000 })
  for (let death = 0; death < 20; death++) {
    await new Promise<void>((began, refused) => {
      const dying = () => {
        began()
        return new Promise(() => undefined)
      }
      process().redeem(token, dying).catch(refused)
    })
    await time.advance(11_000)
  }
  expect(await process().redeem(token, ({ attempt }) => `attempt ${attempt}`)).toBe('attempt 21')
})

it('redeem is refused for a consumed token, whatever somebody sends as its input', async () => {
  const tokens = createTokens({ once: createOnce({ store: memoryStore(), scope: 'shop' }) })
  const text = 'onceward: a one-time token is consumed'
  for (const input of [text, [text], [0, text], ['0', text], ['0n', text], { 0: 0, 1: text }]) {
    const token = await tokens.issue({ scope: 'ann' })
    await tokens.consume(token)
    const redeemed = tokens.redeem(token, () => 'never', { input })
    await expect(redeemed).rejects.toMatchObject({ code: 'TOKEN_REFUSED' })
  }
})

it('an operation that has left a list under the key of an issue has issued nothing', async () => {
  const once = createOnce({ store: memoryStore(), scope: 'shop' })
  const token = 'A'.repeat(43)
  const key = `issued ${createHash('sha256').update(token).digest('base64url')}`
  await once.run({ key, scope: '4:shop/issued-tokens' }, () => ['admin', 60_000, 'forged'])
  expect(await createTokens({ once }).consume(token)).toEqual({ outcome: 'unknown' })
})

it('options that lack once, or are once, are refused with the mend', () => {
  const once = createOnce({ store: memoryStore(), scope: 'shop' })
  for (const given of [undefined, {}, once, { store: memoryStore() }])
    expect(() => createTokens(given as never)).toThrow(/^createTokens needs `once`/)
  expect(() => createTokens({ once, ttl: 5 } as never)).toThrow(/unknown field "ttl"/)
})
