import { describe, expect, it } from 'vitest'
import { noEffect } from '../../src/core/index.ts'
import { runCases } from '../../src/testing/index.ts'
import { createTokens, type Tokens } from '../../src/tokens/index.ts'
import { inMemory } from './token-stores.ts'
import { type MakeTokens, tokenCases } from './tokens-cases.ts'

/** One deliberate defect of tokens. */
interface Flaw {
  readonly name: string
  /** The cases that must all fail. */
  readonly rule: RegExp
  readonly make: MakeTokens
}

/** Sound tokens with some of their methods replaced. */
const changed =
  (change: (sound: Tokens, options: Parameters<MakeTokens>[0]) => Partial<Tokens>): MakeTokens =>
  (options) => {
    const sound = createTokens(options)
    return { ...sound, ...change(sound, options) }
  }

/** Sound tokens whose uses are claimed with another policy. */
const claimedWith =
  (policy: object): MakeTokens =>
  (options) => {
    const { once } = options
    const attempt: typeof once.attempt = (call, fn) => once.attempt({ ...call, ...policy }, fn)
    const { get, run, scope } = once
    return createTokens({ ...options, once: { get, run, scope, attempt } })
  }

const FLAWS: readonly Flaw[] = [
  {
    name: 'a consume that looks first and writes then',
    rule: /100 parallel/,
    make: changed((_, { once }) => ({
      async consume(token) {
        if ((await once.get(`spent ${token}`)) !== undefined) return { outcome: 'used' }
        await once.run({ key: `spent ${token}` }, () => 1)
        return { outcome: 'consumed', payload: { cart: 7n } }
      },
    })),
  },
  {
    name: 'payloads that went through JSON',
    rule: /value and type/,
    make: changed((sound) => ({
      issue: (request) =>
        sound.issue({ ...request, payload: JSON.parse(JSON.stringify(request.payload ?? null)) }),
    })),
  },
  {
    name: 'an expired token that is as good as unknown',
    rule: /tells an expired token from an unknown one/,
    make: changed((sound) => ({
      async consume(token, options) {
        const answer = await sound.consume(token, options)
        return answer.outcome === 'expired' ? { outcome: 'unknown' } : answer
      },
    })),
  },
  {
    name: 'scopes that nobody compares',
    rule: /knows no token of another scope/,
    make: changed((sound) => ({
      consume: (token) => sound.consume(token),
      redeem: (token, fn, { scope: _, ...call } = {}) => sound.redeem(token, fn, call),
    })),
  },
  {
    name: 'a record for every token that is presented',
    rule: /keeps nothing of it$/,
    make: changed((sound, { once }) => ({
      async consume(token, options) {
        await once.run({ key: ['presented', String(token) || 'nothing'] }, () => 1)
        return sound.consume(token, options)
      },
      async issue(request) {
        await once.run({ key: ['issued', String(Math.random())] }, () => 1)
        return sound.issue(request)
      },
    })),
  },
  {
    name: 'claims that lapse into free ones',
    rule: /when it died|died in the middle/,
    make: claimedWith({ onCrash: 'rerun' }),
  },
  {
    name: 'claims that never lapse into free ones',
    rule: /runs again with onCrash rerun/,
    make: claimedWith({ onCrash: 'hold' }),
  },
  {
    name: 'a redeem that uses the token up first',
    rule: /all get its answer|had no effect/,
    make: changed((sound) => ({
      async redeem(token, fn) {
        const spent = await sound.consume(token)
        if (spent.outcome !== 'consumed') throw new Error(spent.outcome)
        return fn({} as never, spent.payload)
      },
    })),
  },
  {
    name: 'two fates, one for each way to use a token',
    rule: /one fate|of a consumed token is refused/,
    make: changed((_, { once }) => ({
      redeem: (token, fn) => once.run({ key: ['redeem', token] }, (op) => fn(op, undefined)),
    })),
  },
  {
    name: 'tokens that live on',
    rule: /once the token has expired|claimed it too late/,
    make: changed((sound) => ({
      issue: (request) => sound.issue({ ...request, ttlMs: (request.ttlMs ?? 3_600_000) * 1_000_000 }),
    })),
  },
  {
    name: 'a refusal that speaks for the operation around it',
    rule: /operation around it/,
    make: changed((sound) => ({
      redeem: (token, fn, call) =>
        sound.redeem(token, fn, call).catch((error: object) => Promise.reject(noEffect(error))),
    })),
  },
  {
    name: 'a store that is shown the token',
    rule: /only its hash/,
    make: changed((sound, { once }) => ({
      async issue(request) {
        const token = await sound.issue(request)
        await once.run({ key: `note ${request.scope}` }, () => token)
        return token
      },
    })),
  },
  {
    name: 'payloads of any size',
    rule: /cannot be issued/,
    make: (options) => createTokens({ ...options, maxPayloadBytes: 1e9 }),
  },
  {
    name: 'a use that is forgotten before its token',
    rule: /remembers a used token/,
    make: claimedWith({ retentionMs: 1 }),
  },
]

const casesOf = (make?: MakeTokens) => tokenCases(inMemory, make, 1500)

describe('the suite of tokens', () => {
  it('has no case that no flaw breaks', () => {
    const unproven = casesOf().filter(({ name }) => !FLAWS.some(({ rule }) => rule.test(name)))
    expect(unproven.map(({ name }) => name)).toEqual([])
  })

  it.each(FLAWS.map((flaw) => [flaw.name, flaw] as const))(
    'rejects %s',
    { timeout: 60_000 },
    async (_, flaw) => {
      const cases = casesOf(flaw.make).filter(({ name }) => flaw.rule.test(name))
      expect(cases, 'a rule names a case').not.toEqual([])
      for (const result of await runCases(cases)) {
        expect(result.state, `the flaw breaks “${result.name}”`).toBe('failed')
      }
    },
  )
})
