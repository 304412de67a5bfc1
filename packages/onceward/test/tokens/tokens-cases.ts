import { setTimeout as later } from 'node:timers/promises'
import { expect } from 'vitest'
import {
  createOnce,
  isOncewardError,
  noEffect,
  type OnceEvent,
  type OnceOptions,
} from '../../src/core/index.ts'
import type { ConformanceCase } from '../../src/testing/index.ts'
import { createTokens, type TokenOptions, type Tokens } from '../../src/tokens/index.ts'
import type { OpenRig, TokenRig, TokenStore } from './token-stores.ts'

/** How the suite makes tokens: deliberately broken ones take the place of ours. */
export type MakeTokens = (options: TokenOptions) => Tokens

/** What one case has: tokens on either connection, of instances that share nothing in this process. */
interface Case {
  readonly a: Tokens
  readonly b: Tokens
  readonly rig: TokenRig
  /** Tokens of yet another instance, with options of its own. */
  more(options?: Partial<OnceOptions>, tokens?: Partial<TokenOptions>): Tokens
}

const FAR = 600_000

/** The suite of one-time tokens for one kind of store. `patienceMs` is how long it waits for what must come true. */
export function tokenCases(
  open: OpenRig,
  make: MakeTokens = createTokens,
  patienceMs = 10_000,
): readonly ConformanceCase[] {
  const until = (holds: () => Promise<boolean>) => waitUntil(holds, patienceMs)
  const expired = (tokens: Tokens, token: string) => until(() => isExpired(tokens, token))
  const cases: ConformanceCase[] = []
  const it = (name: string, run: () => Promise<void>) => cases.push({ name, run })
  const using = (body: (given: Case) => Promise<void>) => async () => {
    const rig = await open()
    const on = (store: TokenStore, options: Partial<OnceOptions> = {}, tokens: Partial<TokenOptions> = {}) =>
      make({ once: createOnce({ store, scope: 'shop', ...options }), ...tokens })
    try {
      const [first, second] = rig.stores
      await body({ a: on(first), b: on(second), rig, more: (options, tokens) => on(second, options, tokens) })
    } finally {
      await rig.close()
    }
  }

  it(
    'consume: of 100 parallel callers over two connections one consumes a token',
    using(async ({ a, b }) => {
      const token = await a.issue({ scope: 'ann', payload: { cart: 7n } })
      const tries = Array.from({ length: 100 }, (_, index) => (index % 2 ? a : b).consume(token))
      const answers = await Promise.all(tries)
      expect(answers.filter(({ outcome }) => outcome === 'consumed')).toEqual([
        { outcome: 'consumed', payload: { cart: 7n } },
      ])
      expect(answers.filter(({ outcome }) => outcome === 'used')).toHaveLength(99)
    }),
  )

  it(
    'consume: gives the payload as it was issued, in value and type, and no second time',
    using(async ({ a, b }) => {
      const payload = { at: new Date(5), ids: new Set([1n]), note: undefined }
      const token = await a.issue({ scope: 'ann', payload })
      expect(await b.consume(token, { scope: 'ann' })).toEqual({ outcome: 'consumed', payload })
      expect(await a.consume(token, { scope: 'ann' })).toEqual({ outcome: 'used' })
      const bare = await a.issue({ scope: 'ann' })
      expect(await b.consume(bare)).toEqual({ outcome: 'consumed', payload: undefined })
    }),
  )

  it(
    'consume: tells an expired token from an unknown one, by the clock of the store',
    using(async ({ a, b }) => {
      const token = await a.issue({ scope: 'ann', payload: 'secret', ttlMs: 20 })
      await expired(b, token)
      expect(await a.consume(token)).toEqual({ outcome: 'expired' })
      expect(await b.consume(token, { scope: 'ann' })).toEqual({ outcome: 'expired' })
      expect(await b.consume(token, { scope: 'bob' })).toEqual({ outcome: 'unknown' })
    }),
  )

  it(
    'consume: knows no token of another scope, nor of another instance, and lets it be used where it belongs',
    using(async ({ a, more }) => {
      const canary = 'CANARY of ann'
      const token = await a.issue({ scope: 'ann', payload: canary })
      const others = [
        a.consume(token, { scope: 'bob' }),
        a.consume(token, { scope: 'ann ' }),
        more({ scope: 'billing' }).consume(token, { scope: 'ann' }),
      ]
      for (const answer of await Promise.all(others)) expect(answer).toEqual({ outcome: 'unknown' })
      const refusal = await refusalOf(a.redeem(token, () => 'never', { scope: 'bob' }))
      expect(`${refusal.message}${refusal.stack}`).not.toContain('CANARY')
      await a.redeem(token, () => canary, { scope: 'ann' })
      expect(await a.consume(token, { scope: 'bob' }), 'used, and told to nobody else').toEqual({
        outcome: 'unknown',
      })
      await refusalOf(a.redeem(token, () => 'never', { scope: 'bob' }))
    }),
  )

  it(
    'consume: takes what was never issued for unknown, and keeps nothing of it',
    using(async ({ a, b, rig }) => {
      const token = await a.issue({ scope: 'ann' })
      const before = await rig.stores[0].stats()
      const tampered = `${token[0] === 'A' ? 'B' : 'A'}${token.slice(1)}`
      const odd = [
        '',
        'x',
        `${token} `,
        token.slice(1),
        'A'.repeat(43),
        'x'.repeat(100_000),
        '\0'.repeat(43),
        tampered,
      ]
      for (const text of [...odd, undefined, null, 7, {}, [token]]) {
        expect(await b.consume(text as string)).toEqual({ outcome: 'unknown' })
        await refusalOf(b.redeem(text as string, () => 'never'))
      }
      expect(await rig.stores[0].stats()).toMatchObject(counted(before))
      expect(await a.consume(token)).toMatchObject({ outcome: 'consumed' })
    }),
  )

  it(
    'consume: leaves a token used that a process had claimed when it died',
    using(async ({ a, b, rig }) => {
      const token = await a.issue({ scope: 'ann' })
      const dying = make({
        once: createOnce({ store: deafToEnds(rig.stores[0]), scope: 'shop', leaseMs: 200 }),
      })
      expect(await dying.consume(token), 'the claim was its own').toMatchObject({ outcome: 'consumed' })
      await until(async () => (await rig.stores[1].sweep()) > 0)
      expect(await b.consume(token)).toEqual({ outcome: 'used' })
      await refusalOf(b.redeem(token, () => 'never', { onCrash: 'rerun' }))
    }),
  )

  it(
    'redeem: runs the work once for 50 parallel callers over two connections, and all get its answer',
    using(async ({ a, b }) => {
      const token = await a.issue({ scope: 'ann', payload: 'cart 7' })
      let runs = 0
      const order = async (_: unknown, payload: unknown) => {
        runs++
        await later(30)
        return { order: runs, payload }
      }
      const tries = Array.from({ length: 50 }, (_, index) => (index % 2 ? a : b).redeem(token, order))
      for (const answer of await Promise.all(tries)) expect(answer).toEqual({ order: 1, payload: 'cart 7' })
      expect(runs).toBe(1)
    }),
  )

  it(
    'redeem: lets work that had no effect be tried again with the same token, with other input too, while that is valid',
    using(async ({ a, b }) => {
      const token = await a.issue({ scope: 'ann' })
      const refused = noEffect(new Error('the card was declined'))
      await expect(a.redeem(token, () => Promise.reject(refused), { input: 'card 1' })).rejects.toBe(refused)
      expect(await b.redeem(token, () => 'paid', { input: 'card 2' })).toBe('paid')
      expect(await a.redeem(token, () => 'never', { input: 'card 2' })).toBe('paid')
      await expect(a.redeem(token, () => 'never', { input: 'card 3' })).rejects.toMatchObject({
        code: 'KEY_REUSED',
      })
    }),
  )

  it(
    'redeem: lets a token be consumed whose work had no effect',
    using(async ({ a, b }) => {
      const token = await a.issue({ scope: 'ann', payload: 1 })
      await a.redeem(token, () => Promise.reject(noEffect(new Error('not yet')))).catch(() => undefined)
      expect(await b.consume(token)).toEqual({ outcome: 'consumed', payload: 1 })
    }),
  )

  it(
    'redeem: and consume are one fate: in a race of both, one of them succeeds',
    using(async ({ a, b }) => {
      for (let round = 0; round < 10; round++) {
        const token = await a.issue({ scope: 'ann' })
        let runs = 0
        const redeems = [a, b].map((side) =>
          side
            .redeem(token, () => ++runs)
            .then(
              () => 'redeemed',
              (error: unknown) =>
                isOncewardError(error, 'TOKEN_REFUSED') ? 'refused' : Promise.reject(error),
            ),
        )
        const consumes = [b, a].map(async (side) => (await side.consume(token)).outcome)
        const answers = round % 2 ? [...redeems, ...consumes] : [...consumes, ...redeems]
        const ends = await Promise.all(answers)
        const consumed = ends.filter((end) => end === 'consumed').length
        expect(consumed + runs, `round ${round}: ${ends}`).toBe(1)
        expect(ends.includes('redeemed'), 'duplicates get the first answer, or all are refused').toBe(
          runs === 1,
        )
      }
    }),
  )

  it(
    'redeem: of a consumed token is refused, and consume of a redeemed one answers used',
    using(async ({ a, b }) => {
      const one = await a.issue({ scope: 'ann' })
      await a.consume(one)
      const refusal = await refusalOf(b.redeem(one, () => 'never'))
      expect(refusal.message).toContain('used up')
      const other = await a.issue({ scope: 'ann' })
      await a.redeem(other, () => 'done')
      expect(await b.consume(other)).toEqual({ outcome: 'used' })
    }),
  )

  it(
    'redeem: is refused once the token has expired, also when it was tried before; what ended in time is told again',
    using(async ({ a, b }) => {
      const done = await a.issue({ scope: 'ann', ttlMs: FAR })
      const tried = await a.issue({ scope: 'ann', ttlMs: 40 })
      expect(await a.redeem(done, () => 'answer')).toBe('answer')
      await a.redeem(tried, () => Promise.reject(noEffect(new Error('not yet')))).catch(() => undefined)
      await expired(b, tried)
      const refusal = await refusalOf(b.redeem(tried, () => 'never'))
      expect(refusal.message).toContain('expired')
      // The next instance knows of nothing, and asks a store whose clock is past the end.
      const shortly = await a.issue({ scope: 'ann', ttlMs: 40 })
      const first = await a.redeem(shortly, () => 'first').catch(() => 'too late')
      const probe = await a.issue({ scope: 'ann', ttlMs: 60 })
      await expired(b, probe)
      expect(await b.redeem(shortly, () => 'never').catch(() => 'too late')).toBe(first)
    }),
  )

  it(
    'redeem: holds a token whose process died in the middle of the work; nobody runs it again',
    using(async ({ a, b, rig }) => {
      const token = await a.issue({ scope: 'ann' })
      await dieRedeeming(rig, make, token, 'hold')
      await until(async () => (await rig.stores[1].sweep()) > 0)
      expect(await b.attempt(token, () => 'never')).toMatchObject({ outcome: 'held' })
      await expect(a.redeem(token, () => 'never')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
      expect(await a.consume(token)).toEqual({ outcome: 'used' })
    }),
  )

  it(
    'redeem: runs again with onCrash rerun after such a death, also where the token has expired by then',
    using(async ({ a, b, rig }) => {
      const token = await a.issue({ scope: 'ann', ttlMs: FAR })
      const { dead, ttlMs } = await diedInTime(a, (one) => dieRedeeming(rig, make, one, 'rerun'))
      await dieRedeeming(rig, make, token, 'rerun')
      const attempts = await b.redeem(token, (op) => [op.attempt, op.takenOver], { onCrash: 'rerun' })
      expect(attempts).toEqual([2, true])
      const probe = await a.issue({ scope: 'ann', ttlMs })
      await expired(b, probe)
      expect(await b.redeem(dead, () => 'went on', { onCrash: 'rerun' })).toBe('went on')
      expect(await a.consume(token)).toEqual({ outcome: 'used' })
    }),
  )

  it(
    'redeem: is refused for an expired token, also after a process died that had claimed it too late',
    using(async ({ a, b, rig }) => {
      const token = await a.issue({ scope: 'ann', ttlMs: 20 })
      await expired(b, token)
      await dieRedeeming(rig, make, token, 'rerun')
      const refusal = await refusalOf(b.redeem(token, () => 'never', { onCrash: 'rerun' }))
      expect(refusal.message).toContain('expired')
    }),
  )

  it(
    'redeem: says nothing of the effect of an operation around it',
    using(async ({ a, rig }) => {
      const around = createOnce({ store: rig.stores[1], scope: 'around' })
      const work = around.run({ key: 'outer' }, () => a.redeem('A'.repeat(43), () => 'never'))
      await expect(work).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    }),
  )

  it(
    'stores, tells and throws no token, only its hash',
    using(async ({ rig }) => {
      const events: OnceEvent[] = []
      const observer = (event: OnceEvent) => void events.push(event)
      const tokens = make({
        once: createOnce({ store: rig.stores[0], scope: 'shop', observer }),
      })
      const issue = () => tokens.issue({ scope: 'ann', payload: 'CANARY', ttlMs: FAR })
      const [consumed, redeemed, failed, held, unused] = await Promise.all([
        issue(),
        issue(),
        issue(),
        issue(),
        issue(),
      ])
      const all = [consumed, redeemed, failed, held, unused]
      await tokens.consume(consumed)
      await tokens.redeem(redeemed, () => 'ok')
      const errors = await Promise.all([
        tokens.redeem(failed, () => Promise.reject(noEffect(new Error('no')))).catch(String),
        tokens.redeem(held, () => Promise.reject(new Error('what now'))).catch(String),
        tokens.redeem(consumed, () => 'never').catch(String),
      ])
      const listed = await rig.stores[0].list({ limit: 1000 })
      const seen = [await rig.dump(), JSON.stringify(events), JSON.stringify(listed), ...errors].join('\n')
      expect(new Set(all).size).toBe(5)
      for (const token of all) {
        expect(token).toMatch(/^[\w-]{43}$/)
        const bytes = Buffer.from(token, 'base64url')
        for (const form of [token, bytes.toString('latin1'), bytes.toString('hex'), bytes.toString('base64')])
          expect(seen.includes(form), 'a token is kept somewhere').toBe(false)
        const { digest } = tokens.operationOf(token, 'ann') ?? {}
        if (token !== unused)
          expect(seen.includes(digest ?? 'none'), 'the search is one that finds').toBe(true)
      }
    }),
  )

  it(
    'refuses what cannot be issued, with the mend, and keeps nothing of it',
    using(async ({ a, rig, more }) => {
      const before = await rig.stores[0].stats()
      const refusals: readonly (readonly [Parameters<Tokens['issue']>[0], RegExp])[] = [
        [{ scope: '' }, /scope.*public/],
        [{ scope: 'x'.repeat(2000) }, /scope has/],
        [{ scope: 'ann', ttlMs: 0 }, /ttlMs/],
        [{ scope: 'ann', ttlMs: Number.NaN }, /ttlMs/],
        [{ scope: 'ann', payload: () => 1 }, /function/],
        [{ scope: 'ann', payload: 'x'.repeat(5000) }, /maxPayloadBytes/],
        [{ scope: 'ann', colour: 'red' } as never, /unknown field "colour"/],
      ]
      for (const [request, message] of refusals) {
        const error = await a.issue(request).catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(TypeError)
        expect((error as Error).message).toMatch(message)
      }
      await expect(a.consume('x', { scope: undefined } as never)).rejects.toThrow(/leave it out/)
      await expect(a.redeem('x', () => 1, { scope: '' })).rejects.toThrow(/leave it out/)
      await expect(a.redeem('x', 'work' as never)).rejects.toThrow(TypeError)
      expect(() => more({}, { ttlMs: -1 })).toThrow(/ttlMs/)
      expect(await rig.stores[0].stats()).toMatchObject(counted(before))
    }),
  )

  it(
    'remembers a used token for at least as long as it could be presented, whatever the call says',
    using(async ({ a, b }) => {
      const token = await a.issue({ scope: 'ann', ttlMs: FAR })
      await a.redeem(token, () => 1, { retentionMs: 1 })
      await later(5)
      expect(await b.redeem(token, () => 2)).toBe(1)
      expect(await b.consume(token)).toEqual({ outcome: 'used' })
    }),
  )
  return cases
}

function counted({ running, done, held, released }: Awaited<ReturnType<TokenStore['stats']>>) {
  return { running, done, held, released }
}

/** Whether the token has expired, by the store's clock; it is not used up by asking. */
async function isExpired(tokens: Tokens, token: string): Promise<boolean> {
  const error = await tokens
    .redeem(token, () => Promise.reject(noEffect(new Error('still valid'))))
    .catch((thrown: unknown) => thrown)
  return isOncewardError(error, 'TOKEN_REFUSED')
}

async function waitUntil(holds: () => Promise<boolean>, patienceMs: number): Promise<void> {
  for (const end = Date.now() + patienceMs; !(await holds()); await later(5))
    if (Date.now() > end) throw new Error('it did not come true')
}

async function refusalOf(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ code: 'TOKEN_REFUSED', status: 400, retryable: false, effect: 'none' })
  return error as Error
}

/** A store seen from a process that dies: its claims are granted, and of what follows nothing arrives. */
function deafToEnds(store: TokenStore): TokenStore {
  const lost = () => Promise.reject(new Error('the process is dead'))
  return { ...bound(store), complete: lost, release: lost, hold: lost, renew: lost }
}

function bound(store: TokenStore): TokenStore {
  const { claim, get, takeTurn, resolve, checkpoint, close, capabilities } = store
  const methods = { claim, get, takeTurn, resolve, checkpoint, close }
  const same = Object.entries(methods).map(([name, method]) => [name, (method as () => unknown).bind(store)])
  return { ...Object.fromEntries(same), capabilities } as TokenStore
}

/** Answers when the work had begun, by `performance.now`. */
async function dieRedeeming(
  { stores: [store] }: TokenRig,
  make: MakeTokens,
  token: string,
  onCrash: 'hold' | 'rerun',
): Promise<number> {
  const once = createOnce({ store: deafToEnds(store), scope: 'shop', leaseMs: 200, onCrash })
  let begunAt = Number.POSITIVE_INFINITY
  const work = () => {
    begunAt = performance.now()
    return Promise.reject(new Error('killed'))
  }
  await make({ once })
    .redeem(token, work)
    .catch(() => undefined)
  return begunAt
}

/** A token whose work began before it expired: on a busy machine one that lasts for longer. */
async function diedInTime(tokens: Tokens, die: (token: string) => Promise<number>) {
  for (let ttlMs = 400; ; ttlMs *= 2) {
    const issuedAt = performance.now()
    const dead = await tokens.issue({ scope: 'ann', ttlMs })
    if ((await die(dead)) - issuedAt < ttlMs - 15 || ttlMs > FAR / 100) return { dead, ttlMs }
  }
}
