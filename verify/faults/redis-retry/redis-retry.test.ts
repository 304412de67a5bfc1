import type { SafeRedis } from 'onceward/redis-retry'
import { beforeAll, expect, it } from 'vitest'
import { describeWhere } from '../../../test-servers/index.mjs'
import { createPrng, type Prng } from '../../simulation/prng.ts'
import { compileTrials, runBuilt } from '../harness/run-built.ts'
import { callerModel } from './caller-model.ts'
import { respFrames } from './resp-frames.ts'
import { sharedWork } from './shared-work.ts'

it('the proxy takes requests and replies apart, however they are cut', () => {
  const whole = [
    '*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n',
    ':1\r\n',
    '*-1\r\n',
    '$-1\r\n',
    '%1\r\n+a\r\n*2\r\n:1\r\n_\r\n',
    '>2\r\n+x\r\n+y\r\n',
    '|1\r\n+k\r\n+v\r\n$0\r\n\r\n',
    '*0\r\n',
  ]
  const bytes = Buffer.from(whole.join(''))
  for (let size = 1; size <= bytes.length; size++) {
    const frames = respFrames()
    const found: string[] = []
    for (let from = 0; from < bytes.length; from += size)
      found.push(...frames.push(bytes.subarray(from, from + size)).map(String))
    expect(found).toEqual(whole)
  }
})

/** What answers each command as if it had been executed before. */
function repeating(held: Map<string, number>): SafeRedis {
  const call = async (
    command: string,
    key: string,
    ...args: readonly unknown[]
  ): Promise<number | string> => {
    const by = command === 'INCR' ? 1 : command === 'RPUSH' ? args.length : Number(args[0])
    held.set(key, (held.get(key) ?? 0) + 2 * by)
    return held.get(key) ?? 0
  }
  return { call } as unknown as SafeRedis
}

it('notices increments, elements and entries that were executed twice', async () => {
  const held = new Map<string, number>()
  const redis = repeating(held)
  const work = sharedWork('run', 100)
  await work.begin(redis)
  await work.step(redis, { ...createPrng(1), int: () => 0 })
  const wrong = await work.compare(async (command, key = '') =>
    command === 'LRANGE' ? ['entry 0', 'entry 0'] : (held.get(key) ?? 0),
  )
  expect(wrong.join('\n')).toMatch(/run:shared:0 is 2, and 1 INCRs were acknowledged/)
  expect(wrong.join('\n')).toMatch(/the log holds 2 entries, 0 were acknowledged/)
  expect(wrong.join('\n')).toMatch(/elements: 0 were handed out/)
})

it('notices a reply that is that of a second execution', async () => {
  const first = {
    ...createPrng(1),
    chance: () => false,
    int: () => 5,
    pick: (kinds: readonly unknown[]) => kinds[0],
  }
  const caller = callerModel('caller', first as unknown as Prng)
  expect(await caller.step(repeating(new Map()))).toBe('caller: INCRBY was answered 6, not 3')
})

await describeWhere('redis', 'the Redis client that retries safely, under faults', () => {
  beforeAll(compileTrials, 240_000)

  for (const topology of ['standalone', 'cluster']) {
    it(`has each operation take effect once, and the bare client does not (${topology})`, async () => {
      const { code, output } = await runBuilt(
        'verify/faults/dist/faults/redis-retry/run-redis-retry.js',
        ...['--operations', '400', '--topology', topology],
      )
      expect(code, output).toBe(0)
      expect(output.match(/400 operations, 400 acknowledged, 0 violations/g)).toHaveLength(2)
      expect(output.match(/executed, [1-9]\d* too many/g)).toHaveLength(2)
    }, 180_000)
  }
})
