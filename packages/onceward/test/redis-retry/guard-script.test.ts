import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import {
  type AttemptTerms,
  guardScript,
  largestReply,
  operationHead,
} from '../../src/redis-retry/guard-lua.ts'
import { SINGLE, some } from './retry-kit.ts'

await describeWith('redis', 'the guarding script', ({ redis }) => {
  it('never executes what was settled, however late its deadline is, and executes a later try', async () => {
    const { bare, close } = await SINGLE.ioredis(redis.url)
    const [marker, key] = [some('m'), some()]
    const now = Date.now()
    const terms = (deadline: number): AttemptTerms => ({
      touch: false,
      deadline,
      proofUntil: now + 60_000,
      retentionMs: 60_000,
      largest: largestReply(1000),
    })
    const digest = ''
    const run = async (keys: readonly string[], ...words: readonly string[]) =>
      String(await bare('EVAL', guardScript().text, String(keys.length), ...keys, ...words))
    const incr = (deadline: number) =>
      run([marker, key], operationHead('c', '', 2, 2, digest, terms(deadline)), 'INCR', key)
    const settle = (deadline: number) => run([marker], operationHead('s', '', 1, 0, digest, terms(deadline)))
    expect(await settle(now + 30_000)).toMatch(/^x/)
    expect(await incr(now + 30_000)).toMatch(/^x/)
    expect(await incr(now + 20_000)).toMatch(/^x/)
    expect(await bare('GET', key)).toBe(null)
    expect(await incr(now + 40_000)).toBe('d:1\r\n')
    expect(await incr(now + 30_000)).toBe('r:1\r\n')
    expect(await settle(now + 50_000)).toBe('r:1\r\n')
    expect(await bare('GET', key)).toBe('1')
    await bare('DEL', marker, key)
    close()
  })
})
