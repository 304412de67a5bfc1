import { expect, it } from 'vitest'
import { describeWhere, type RedisServer, startRedis } from '../../../../test-servers/index.mjs'
import { type CommandClass, commandTable, repeatsAsIt } from '../../src/redis-retry/command-table.ts'
import { safeRedis } from '../../src/redis-retry/index.ts'
import { type Example, examplesOf, MORE_FORMS, READ_EXAMPLES, WRITE_EXAMPLES } from './command-examples.ts'
import { SINGLE, some } from './retry-kit.ts'

const table = commandTable()

await describeWhere('redis', 'the table of commands', () => {
  /** A server of its own, and a way to send a command that answers errors as values. */
  const onServer = async (
    work: (server: RedisServer, send: (words: readonly string[]) => Promise<unknown>) => Promise<void>,
  ) => {
    const server = await startRedis()
    const { bare, close } = await SINGLE.ioredis(server.url)
    try {
      await work(server, (words) => bare(...words).catch((error: unknown) => String(error)))
    } finally {
      close()
      await server.stop()
    }
  }

  it(
    'has every command of the server, and calls none a read that can write',
    () =>
      onServer(async (_server, send) => {
        const all = flatten((await send(['COMMAND'])) as readonly CommandInfo[])
        expect(all.size).toBeGreaterThan(350)
        const missing: string[] = []
        const wrong: string[] = []
        for (const [name, flags] of all) {
          const entry = table.entries.find((row) => row.name === name)
          if (entry === undefined) {
            if (![...all.keys()].some((other) => other.startsWith(`${name}|`))) missing.push(name)
            continue
          }
          if (flags.has('write') && entry.class === 'read') wrong.push(`${name} writes`)
          const guarded = ['same', 'another-reply', 'unrepeatable'].includes(entry.class)
          if (guarded && flags.has('noscript')) wrong.push(`${name} is not allowed in scripts`)
          if (guarded && flags.has('blocking') && entry.keys !== 'streams') wrong.push(`${name} waits`)
          if (guarded && !flags.has('write') && !flags.has('pubsub')) wrong.push(`${name} does not write`)
          if (entry.class === 'once' && flags.has('readonly')) wrong.push(`${name} reads`)
          if (entry.class === 'read' && flags.has('noscript') && entry.note !== 'alone')
            wrong.push(`${name} is not allowed among several`)
        }
        expect(missing).toEqual([])
        expect(wrong).toEqual([])
      }),
    30_000,
  )

  it(
    'finds the keys that the server finds',
    () =>
      onServer(async (_server, send) => {
        for (const example of examplesOf(
          WRITE_EXAMPLES + MORE_FORMS.trimStart() + READ_EXAMPLES.trimStart(),
        )) {
          const { command } = example.commands('k:')
          const said = await send(['COMMAND', 'GETKEYS', ...command])
          const found = table.find(command)?.keysOf(command)
          if (Array.isArray(said)) expect([example.line, found]).toEqual([example.line, said])
          else
            expect([example.line, command.length < 2 ? [] : found]).toEqual([
              example.line,
              /PUBLISH/.test(command[0] as string) ? found : [],
            ])
        }
      }),
    30_000,
  )

  it(
    'has an example of every command that it classifies, where the server has it',
    () =>
      onServer(async (_server, send) => {
        const all = flatten((await send(['COMMAND'])) as readonly CommandInfo[])
        const shown = new Set(
          examplesOf(WRITE_EXAMPLES + READ_EXAMPLES.trimStart()).map(
            (example) => table.find(example.commands('').command)?.name,
          ),
        )
        const without = table.entries.filter(
          ({ name, class: kind, keys }) =>
            all.has(name) &&
            !shown.has(name) &&
            (kind === 'read' ? keys !== '-' : !['once', 'connection'].includes(kind)),
        )
        // Their examples need what is made on the spot; they are tested by themselves below.
        expect(without.map(({ name }) => name)).toEqual(['EVALSHA_RO', 'FCALL_RO', 'OBJECT|FREQ', 'RESTORE'])
      }),
    30_000,
  )

  it(
    'classifies each write by what a second execution does',
    () =>
      onServer(async (_server, send) => {
        const wrong: string[] = []
        for (const example of examplesOf(WRITE_EXAMPLES)) {
          const { command, measured } = await twice(example, send)
          const entry = table.find(command)
          const declared = entry?.class
          // What others hear is not in the keys.
          const expected = /^S?PUBLISH$/.test(command[0] as string) ? 'same' : declared
          if (measured !== expected) wrong.push(`${example.line}: ${measured}, not ${declared}`)
          if (measured !== 'same' && entry !== undefined && repeatsAsIt(entry, command))
            wrong.push(`${example.line}: not to be repeated`)
        }
        expect(wrong).toEqual([])
      }),
    60_000,
  )

  it(
    'calls RESTORE unrepeatable, whose time to live is counted from now',
    () =>
      onServer(async (server) => {
        const { bare, close } = await SINGLE['node-redis'](server.url, {
          commandOptions: { typeMapping: { 36: Buffer } },
        })
        await bare('SET', 'source', 'v')
        const payload = (await bare('DUMP', 'source')) as Buffer
        const restore = async () => {
          await bare('RESTORE', 'target', '5000', payload, 'REPLACE')
          return Number(await bare('PEXPIRETIME', 'target'))
        }
        const first = await restore()
        await expect.poll(restore, { timeout: 10_000 }).toBeGreaterThan(first)
        expect(table.find(['RESTORE'])?.class).toBe('unrepeatable')
        close()
      }),
    30_000,
  )

  it(
    'repeats no form of a command that does something else the second time',
    () =>
      onServer(async (_server, send) => {
        const forms = `${WRITE_EXAMPLES}${MORE_FORMS.trimStart()}
        > SET A 1 EX 100
        > SET A 1 PX 100000
        > SET A 1 EXAT 4102444800
        SET A 1 EX 100 > SET A 1 KEEPTTL
        > SET A 1 NX
        SET A 0 > SET A 1 XX GET
        SET A a; SET B b > BITOP XOR A A B
        ZADD A 1 a; ZADD B 2 a > ZUNIONSTORE A 2 A B
        RPUSH A 2 1; SET B1 x; SET B2 y > SORT A GET B* STORE B1
        SADD A a b; SADD B b > SDIFFSTORE A A B
      `
        let repeatable = 0
        for (const example of examplesOf(forms)) {
          const { command, measured } = await twice(example, send)
          const entry = table.find(command)
          if (entry === undefined || !repeatsAsIt(entry, command)) continue
          repeatable++
          expect([example.line, measured]).toEqual([example.line, 'same'])
        }
        expect(repeatable).toBeGreaterThan(15)
      }),
    60_000,
  )

  it(
    'calls only those reads that change nothing',
    () =>
      onServer(async (_server, send) => {
        for (const example of examplesOf(READ_EXAMPLES)) {
          const prefix = some('r')
          const { setup, command } = example.commands(prefix)
          for (const before of setup) await send(before)
          const state = await stateOf(prefix, send)
          const reply = await send(command)
          expect([example.line, String(reply)]).toEqual([example.line, expect.not.stringMatching(/Error/)])
          expect([example.line, await stateOf(prefix, send)]).toEqual([example.line, state])
          expect([example.line, table.find(command)?.class]).toEqual([example.line, 'read'])
        }
      }),
    60_000,
  )

  /** Clients of every kind of reply. */
  const KINDS = [
    ['node-redis', { RESP: 2 }],
    ['node-redis', { RESP: 3 }],
    ['ioredis', { protocol: 2 }],
    ['ioredis', { protocol: 3 }],
    ['ioredis', { protocol: 3, replyMapping: 'resp3' }],
    ['ioredis', { stringNumbers: true }],
  ] as const
  for (const [name, options] of KINDS) {
    it(
      `guards commands so that ${name} ${JSON.stringify(options)} answers as it does bare`,
      () =>
        onServer(async (server) => {
          const { client, bare, close } = await SINGLE[name](server.url, options)
          const safe = safeRedis(client, { prefix: some('m') })
          const wrong: unknown[] = []
          for (const example of examplesOf(
            WRITE_EXAMPLES + MORE_FORMS.trimStart() + READ_EXAMPLES.trimStart(),
          )) {
            const [one, other] = [some('o'), some('o')]
            const asError = (error: unknown) => `Error: ${(error as Error).message}`
            const { setup, command } = example.commands(one)
            for (const before of setup) await bare(...before)
            const [first = '', ...args] = example.commands(other).command
            for (const before of example.commands(other).setup) await bare(...before)
            const expected = await bare(...command).catch(asError)
            const found = await safe.call(first, ...args).catch(asError)
            const plain = (value: unknown) => normal(value, [one, other], command)
            if (JSON.stringify(plain(found)) !== JSON.stringify(plain(expected)))
              wrong.push([example.line, plain(found), plain(expected)])
          }
          expect(wrong).toEqual([])
          for (const example of examplesOf(READ_EXAMPLES)) {
            const prefix = some('o')
            const { setup, command } = example.commands(prefix)
            const [first = '', ...args] = command
            if (/^(?:EVAL_RO|XINFO|DUMP|OBJECT)$/.test(first)) continue
            for (const before of setup) await bare(...before)
            const expected = normal(await bare(...command), [], command)
            const found = await safe.atomic([[first, ...args]]).catch(String)
            expect([example.line, normal(found, [], command)]).toEqual([example.line, [expected]])
          }
          await safe.close()
          close()
        }),
      60_000,
    )
  }
})

/** What `COMMAND` tells of a command: name, arity, flags, …, and in the tenth place its subcommands. */
type CommandInfo = readonly [string, number, readonly string[], ...unknown[]]

function flatten(infos: readonly CommandInfo[]): Map<string, ReadonlySet<string>> {
  const all = new Map<string, ReadonlySet<string>>()
  for (const info of infos) {
    all.set(info[0].toUpperCase(), new Set(info[2].map(String)))
    for (const [name, flags] of flatten((info[9] ?? []) as readonly CommandInfo[])) all.set(name, flags)
  }
  return all
}

/** Executes an example twice, and tells what the second time did. */
async function twice(
  example: Example,
  send: (words: readonly string[]) => Promise<unknown>,
): Promise<{ readonly command: readonly string[]; readonly measured: CommandClass }> {
  const prefix = some('t')
  const { setup, command } = example.commands(prefix)
  for (const before of setup) await send(before)
  const first = await send(command)
  const state = await stateOf(prefix, send)
  // A time to live that is counted from the second execution shows only after a moment.
  const until = performance.now() + 3
  while (performance.now() < until) await send(['PING'])
  const second = await send(command)
  const after = await stateOf(prefix, send)
  const same = JSON.stringify(first) === JSON.stringify(second)
  return { command, measured: state !== after ? 'unrepeatable' : same ? 'same' : 'another-reply' }
}

/** All that is under the keys of an example. */
async function stateOf(
  prefix: string,
  send: (words: readonly string[]) => Promise<unknown>,
): Promise<string> {
  const parts: unknown[] = []
  for (const key of ['A', 'B', 'C'])
    parts.push(await send(['DUMP', prefix + key]), await send(['PEXPIRETIME', prefix + key]))
  return JSON.stringify(parts)
}

/** A reply without what differs between two executions: names of keys, ids of now, seconds, and members chosen by chance. */
function normal(value: unknown, names: readonly string[], command: readonly string[]): unknown {
  const clean = (text: string) =>
    names.reduce((all, name) => all.replaceAll(name, ''), text).replace(/\d{13,}-\d+/g, 'id')
  // The server counts them by a clock of whole seconds, the next of which may begin at any moment.
  if (command[1] === 'IDLETIME' && Number(value) >= 0) return `${typeof value} of seconds`
  if (typeof value === 'string') return clean(value)
  if (
    typeof value === 'bigint' ||
    (typeof value === 'number' && !Number.isSafeInteger(value) && Number.isInteger(value))
  )
    return `rounded ${Number(value)}`
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`
  if (Array.isArray(value)) {
    const all = value.map((part: unknown) => normal(part, names, command))
    return command[0] === 'SPOP' ? all.length : all
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([field, part]) => [clean(field), normal(part, names, command)]),
    )
  }
  return value
}
