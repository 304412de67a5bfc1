import type { CommandArgument, RedisValue, SafeRedis } from 'onceward/redis-retry'
import type { Prng } from '../../simulation/prng.ts'

/** A caller with keys of its own, that knows what each of its replies must be. */
export interface CallerModel {
  /** Writes what the keys hold at the beginning. */
  begin(redis: SafeRedis): Promise<void>
  /** Executes one operation; answers what is wrong with its reply. Rejects when it was not acknowledged. */
  step(redis: SafeRedis): Promise<string | undefined>
  /** Compares what the server holds with the model; answers what is wrong. */
  compare(read: (...words: string[]) => Promise<unknown>): Promise<readonly string[]>
}

/** Beyond what a double holds exactly. */
const LARGE = 2n ** 53n + 1n

/** Makes a caller. Its keys lie in one slot. */
export function callerModel(name: string, prng: Prng): CallerModel {
  const at = (key: string) => `{${name}}:${key}`
  let number = prng.chance(0.5) ? LARGE : 0n
  let field = 0n
  let text = ''
  let value: string | null = null
  let bytes: Buffer | null = null
  let score = 0
  let counted = 0
  let steps = 0
  const list: string[] = []
  const moved: string[] = []
  const set = new Set<string>()
  const hash = new Map<string, string>()
  const named: { readonly opId: string; readonly reply: string }[] = []

  const exact = (reply: RedisValue) => BigInt(reply as number | bigint | string)
  const unless = (right: boolean, what: string, reply: unknown, due: unknown) =>
    right ? undefined : `${name}: ${what} was answered ${shown(reply)}, not ${shown(due)}`
  const same = (what: string, reply: RedisValue, due: RedisValue) =>
    unless(shown(reply) === shown(due), what, reply, due)

  const kinds: readonly [Step, ...Step[]] = [
    async (redis) => {
      const by = BigInt(prng.int(9)) - 2n
      const reply = await redis.call('INCRBY', at('n'), by)
      number += by
      return unless(exact(reply) === number, 'INCRBY', reply, number)
    },
    async (redis) => {
      const reply = await redis.call('HINCRBY', at('h'), 'field', 3)
      field += 3n
      return unless(exact(reply) === field, 'HINCRBY', reply, field)
    },
    async (redis) => {
      const piece = `${steps}.`
      const reply = await redis.call('APPEND', at('t'), piece)
      text += piece
      return same('APPEND', reply, text.length)
    },
    async (redis) => {
      const next = `value ${steps}`
      const reply = await redis.call('GETSET', at('v'), next)
      const before = value
      value = next
      return same('GETSET', reply, before)
    },
    async (redis) => {
      const reply = await redis.call('GETDEL', at('v'))
      const before = value
      value = null
      return same('GETDEL', reply, before)
    },
    async (redis) => {
      const next = Buffer.from([0, 255, 13, 10, steps % 256])
      const reply = await redis.exec('GETSET', [at('b'), next], { replies: 'bytes' })
      const before = bytes
      bytes = next
      return same('GETSET of bytes', reply, before)
    },
    async (redis) => {
      list.push(`a${steps}`, `b${steps}`)
      return same('RPUSH', await redis.call('RPUSH', at('l'), `a${steps}`, `b${steps}`), list.length)
    },
    async (redis) => same('LPOP', await redis.call('LPOP', at('l')), list.shift() ?? null),
    async (redis) => {
      const due = list.length === 0 ? null : list.splice(0, 2)
      return same('LPOP of two', await redis.call('LPOP', at('l'), 2), due)
    },
    async (redis) => {
      const last = list.pop()
      if (last !== undefined) moved.unshift(last)
      return same('LMOVE', await redis.call('LMOVE', at('l'), at('m'), 'RIGHT', 'LEFT'), last ?? null)
    },
    async (redis) => {
      const member = `m${prng.int(6)}`
      const due = set.has(member) ? 0 : 1
      set.add(member)
      return same('SADD', await redis.call('SADD', at('s'), member), due)
    },
    async (redis) => {
      const reply = await redis.call('SPOP', at('s'))
      const right = set.size === 0 ? reply === null : set.delete(String(reply))
      return unless(right, 'SPOP', reply, [...set])
    },
    async (redis) => {
      const key = `f${prng.int(5)}`
      const due = hash.has(key) ? 0 : 1
      hash.set(key, String(steps))
      return same('HSET', await redis.call('HSET', at('f'), key, steps), due)
    },
    async (redis) => {
      const key = `f${prng.int(5)}`
      return same('HDEL', await redis.call('HDEL', at('f'), key), hash.delete(key) ? 1 : 0)
    },
    async (redis) => {
      const reply = await redis.call('ZINCRBY', at('z'), 1.5, 'member')
      score += 1.5
      return unless(Number(reply) === score, 'ZINCRBY', reply, score)
    },
    async (redis) => {
      const reply = await redis.atomic([
        ['INCR', at('c')],
        ['RPUSH', at('cl'), counted],
        ['GET', at('missing')],
        ['SET', at('cs'), counted],
      ])
      counted++
      return same('atomic', reply, [counted, counted, null, 'OK'])
    },
    async (redis) => {
      const opId = `${name}-${steps}`
      const reply = shown(await redis.exec('RPUSH', [at('named'), opId], { opId }))
      named.push({ opId, reply })
      return unless(reply === String(named.length), 'RPUSH with an opId', reply, named.length)
    },
    async (redis) => {
      const before = named[prng.int(named.length)]
      if (before === undefined) return kinds[0](redis)
      const args: CommandArgument[] = [at('named'), before.opId]
      const reply = shown(await redis.exec('RPUSH', args, { opId: before.opId }))
      return unless(reply === before.reply, 'RPUSH under an opId again', reply, before.reply)
    },
    async (redis) => {
      const code = await redis.call('INCR', at('text')).then(
        (reply) => `the reply ${shown(reply)}`,
        (error: { readonly code?: unknown }) => error.code,
      )
      if (code !== 'COMMAND_REFUSED' && !String(code).startsWith('the reply')) throw new Error(String(code))
      return unless(code === 'COMMAND_REFUSED', 'INCR of a text', code, 'COMMAND_REFUSED')
    },
    async (redis) => same('LRANGE', await redis.call('LRANGE', at('l'), 0, -1), [...list]),
  ]
  return {
    async begin(redis) {
      await redis.call('SET', at('n'), number)
      await redis.call('SET', at('text'), 'text')
    },
    step(redis) {
      steps++
      return prng.pick(kinds)(redis)
    },
    async compare(read) {
      const due: readonly (readonly [readonly string[], RedisValue])[] = [
        [['GET', at('n')], String(number)],
        [['HGET', at('h'), 'field'], field === 0n ? null : String(field)],
        [['GET', at('t')], text === '' ? null : text],
        [['GET', at('v')], value],
        [['LRANGE', at('l'), '0', '-1'], list],
        [['LRANGE', at('m'), '0', '-1'], moved],
        [['SCARD', at('s')], set.size],
        [['HLEN', at('f')], hash.size],
        [['ZSCORE', at('z'), 'member'], score === 0 ? null : String(score)],
        [['GET', at('c')], counted === 0 ? null : String(counted)],
        [['LLEN', at('cl')], counted],
        [['LRANGE', at('named'), '0', '-1'], named.map(({ opId }) => opId)],
        [['GET', at('text')], 'text'],
      ]
      const wrong: string[] = []
      for (const [words, right] of due) {
        const held = await read(...words)
        const finding = unless(shown(held) === shown(right), `at the end ${words.join(' ')}`, held, right)
        if (finding !== undefined) wrong.push(finding)
      }
      return wrong
    },
  }
}

type Step = (redis: SafeRedis) => Promise<string | undefined>

function shown(value: unknown): string {
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`
  if (Array.isArray(value)) return `[${value.map(shown).join(' ')}]`
  return String(value)
}
