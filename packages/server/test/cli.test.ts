import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createOnce, finalFailure, operationId } from 'onceward'
import { encryptedStore } from 'onceward/encrypted'
import { operationKey, operationScope, responseCodec } from 'onceward/http'
import { sqliteStore } from 'onceward/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { command, type Said } from './support/in-process.ts'

describe('the operator’s commands', () => {
  let folder: string
  let store: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onceward-cli-'))
    store = `sqlite:${join(folder, 'a.sqlite')}`
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const cli = (...args: string[]): Promise<Said> => command([...args, '--store', store], { cwd: folder })
  const withStore = async <T>(work: (opened: ReturnType<typeof sqliteStore>) => Promise<T>): Promise<T> => {
    const opened = sqliteStore(join(folder, 'a.sqlite'))
    try {
      return await work(opened)
    } finally {
      await opened.close()
    }
  }
  const claimed = (scope: string, key: string, then: 'held' | 'done' | 'running' | 'released' = 'held') =>
    withStore(async (opened) => {
      const id = operationId(scope, key)
      const reply = await opened.claim({
        id,
        owner: key,
        leaseMs: 60_000,
        retentionMs: 60_000,
        onCrash: 'hold',
      })
      if (reply.state !== 'claimed') throw new Error(reply.state)
      if (then === 'held') await opened.hold(reply.claim, 'nobody knows')
      if (then === 'released') await opened.release(reply.claim)
      if (then === 'done') {
        const value = responseCodec.encode({ status: 201, headers: [], body: Buffer.from('secret body') })
        await opened.complete(reply.claim, { kind: 'value', value }, 60_000)
      }
      return id
    })
  const httpKey = (key: string) => operationKey('POST', '/payments', key)
  const scope = operationScope('onceward', 'tenant')

  it('show what an encrypted store has sealed as sealed', async () => {
    const keys = [{ id: 'k1', key: Buffer.alloc(32, 7) }]
    const ids = await withStore(async (opened) => {
      const once = createOnce({ store: encryptedStore(opened, { keys }), scope: 'payments' })
      const refused = () => Promise.reject(finalFailure(new Error('card 4242 was refused')))
      await once.run({ key: 'value' }, () => 'secret value')
      await once.run({ key: 'failed' }, refused).catch(() => undefined)
      await once.run({ key: 'held' }, () => Promise.reject(new Error('card 4242'))).catch(() => undefined)
      return ['value', 'failed', 'held'].map((key) => operationId('payments', key).digest)
    })
    const shown = await Promise.all(ids.map((id) => cli('show', id)))
    for (const { code, stdout } of shown) {
      expect(code).toBe(0)
      expect(stdout).not.toMatch(/4242|secret|sealed: /)
    }
    expect(shown[0]?.stdout).toMatch(/outcome +kind=sealed bytes=\d+/)
    expect(shown[1]?.stdout).toMatch(/outcome +kind=failure error=sealed/)
    expect(shown[2]?.stdout).toMatch(/heldReason +sealed/)
  })

  it('list operations one a line, newest first, by state and by scope', async () => {
    const held = await claimed(scope, httpKey('a'))
    await claimed('payments', 'charge-7', 'running')
    const all = await cli('ls')
    expect(all.code).toBe(0)
    const lines = all.stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/^\S{16} {2}payments {2}charge-7 {2}running {2}1 {2}\d+ {2}\d+s$/)
    expect(lines[1]).toMatch(
      /^\S{16} {2}8:onceward\/tenant {2}POST \/payments a {2}held {2}1 {2}\d+ {2}\d+s$/,
    )
    expect(JSON.parse((await cli('ls', '--state', 'held', '--json')).stdout)).toMatchObject([
      {
        id: held.digest,
        scope,
        key: 'POST /payments a',
        state: 'held',
        heldReason: 'nobody knows',
        attempt: 1,
      },
    ])
    expect((await cli('ls', '--scope', 'tenant')).stdout.split('\n')).toHaveLength(2)
    expect((await cli('ls', '--scope', scope)).stdout.split('\n')).toHaveLength(2)
    expect((await cli('ls', '--key-prefix', 'charge')).stdout).toContain('charge-7')
    expect((await cli('ls', '--state', 'done')).stdout).toBe('')
  })

  it('say when there are more than were asked for', async () => {
    for (const key of ['a', 'b', 'c']) await claimed('s', key)
    const said = await cli('ls', '--limit', '2')
    expect(said.stdout.trimEnd().split('\n')).toHaveLength(2)
    expect(said.stderr).toMatch(/there are more; ask for them with --limit/)
    expect((await cli('ls', '--limit', '3')).stderr).toBe('')
  })

  it('show everything but the bytes of the outcome', async () => {
    const id = await claimed(scope, httpKey('a'), 'done')
    const said = await cli('show', id.digest.slice(0, 12))
    expect(said.stdout).toMatch(/^id +\S{43}\n/)
    expect(said.stdout).toContain('outcome      kind=response status=201 bytes=11\n')
    expect(said.stdout).not.toContain('secret body')
    expect((await cli('show', id.digest, '--json')).stdout).not.toContain('secret body')
  })

  it('do not let a key drive the terminal', async () => {
    const id = await claimed('s', 'a\u001b[2Jb\nheld  1  2\u202ec')
    for (const said of [await cli('ls'), await cli('show', id.digest)]) {
      expect(said.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(said.stdout).toContain('a\\u{1b}[2Jb\\u{a}held  1  2\\u{202e}c')
    }
    const nobody = await cli('show', 'zz\u001b]0;title\u0007zz')
    expect(nobody.stderr.trim()).not.toMatch(/\p{Cc}/u)
    expect(nobody.code).toBe(3)
  })

  it('resolve a request as done with the response that duplicates get', async () => {
    const id = await claimed(scope, httpKey('a'))
    await writeFile(join(folder, 'body.json'), '{"id":7}')
    const said = await cli(
      ...['resolve', id.digest, '--as', 'done', '--status', '201', '--body-file', 'body.json'],
      ...['--header', 'Location: /payments/7', '--reason', 'it is in the ledger', '--actor', 'ada'],
    )
    expect(said).toMatchObject({ code: 0, stderr: '' })
    await withStore(async (opened) => {
      const record = await opened.get(id)
      if (record?.outcome?.kind !== 'value') throw new Error('no value')
      expect(responseCodec.decode(record.outcome.value)).toEqual({
        status: 201,
        headers: [
          ['Location', '/payments/7'],
          ['Content-Type', 'application/json'],
        ],
        body: new Uint8Array(Buffer.from('{"id":7}')),
      })
      expect(await opened.audit()).toMatchObject([
        { actor: 'ada', reason: 'it is in the ledger', as: 'done' },
      ])
    })
  })

  it('resolve an operation of the library as done with a value that its callers get', async () => {
    const id = await claimed('payments', 'charge-7')
    const said = await cli(
      'resolve',
      id.digest,
      '--as',
      'done',
      '--value',
      '{"charge":7}',
      '--reason',
      'seen',
    )
    expect(said).toMatchObject({ code: 0, stderr: '' })
    await withStore(async (opened) => {
      const once = createOnce({ store: opened, scope: 'payments' })
      const ran: string[] = []
      expect(await once.run({ key: 'charge-7' }, () => void ran.push('again'))).toEqual({ charge: 7 })
      expect(ran).toEqual([])
    })
  })

  it('resolve as failed, so that duplicates fail, and as release, so that the next one runs', async () => {
    const failed = await claimed('payments', 'f')
    const released = await claimed('payments', 'r')
    expect((await cli('resolve', failed.digest, '--as', 'failed', '--reason', 'card was stolen')).code).toBe(
      0,
    )
    expect((await cli('resolve', released.digest, '--as', 'release', '--reason', 'never arrived')).code).toBe(
      0,
    )
    await withStore(async (opened) => {
      const once = createOnce({ store: opened, scope: 'payments' })
      await expect(once.run({ key: 'f' }, () => 'ran')).rejects.toThrow('card was stolen')
      expect(await once.run({ key: 'r' }, () => 'ran')).toBe('ran')
    })
  })

  it.each<[string, string[], RegExp]>([
    [
      'a decision that is none',
      ['--as', 'maybe', '--reason', 'r'],
      /--as maybe: give done, failed or release/,
    ],
    ['no reason', ['--as', 'release'], /required option '--reason <text>' not specified/],
    ['an empty reason', ['--as', 'release', '--reason', ' '], /say why/],
    [
      'done without a response',
      ['--as', 'done', '--reason', 'r'],
      /--as done needs the response to replay: --status/,
    ],
    [
      'a status that is none',
      ['--as', 'done', '--reason', 'r', '--status', '99'],
      /give a status from 200 to 599/,
    ],
    [
      'a value for a request',
      ['--as', 'done', '--reason', 'r', '--status', '200', '--value', '1'],
      /--value is for operations of the library/,
    ],
    [
      'a header that is none',
      ['--as', 'done', '--reason', 'r', '--status', '200', '--header', 'x'],
      /give "Name: value"/,
    ],
    [
      'a body file that is not there',
      ['--as', 'done', '--reason', 'r', '--status', '200', '--body-file', 'none'],
      /cannot be read \(ENOENT\)/,
    ],
    [
      'a fence that is none',
      ['--as', 'release', '--reason', 'r', '--fence', 'x'],
      /--fence x: give a whole number/,
    ],
  ])('refuse to resolve with %s, and change nothing', async (_, args, line) => {
    const id = await claimed(scope, httpKey('a'))
    const said = await cli('resolve', id.digest, ...args)
    expect(said.stderr).toMatch(line)
    expect(said.stderr.trim().split('\n')).toHaveLength(1)
    expect(said.code).toBe(2)
    expect(JSON.parse((await cli('ls', '--json')).stdout)).toMatchObject([{ state: 'held' }])
  })

  it('tell a conflict (4) from an absence (3)', async () => {
    const held = await claimed('s', 'held')
    const running = await claimed('s', 'running', 'running')
    const stale = await cli('resolve', held.digest, '--as', 'release', '--reason', 'r', '--fence', '1')
    expect(stale.stderr).toMatch(/the operation is held under fence \d+, not 1; look again/)
    expect(stale.code).toBe(4)
    const busy = await cli('resolve', running.digest, '--as', 'release', '--reason', 'r')
    expect(busy.stderr).toMatch(/the operation is running, not held; nothing was changed/)
    expect(busy.code).toBe(4)
    const absent = await cli('resolve', 'aaaaaaaa', '--as', 'release', '--reason', 'r')
    expect(absent.code).toBe(3)
    const short = await cli('show', 'short')
    expect(short.stderr).toMatch(/short: is too short for an id; give at least 6 characters/)
    expect(short.code).toBe(2)
  })

  it('name the candidates when a beginning is that of several ids', async () => {
    const id = { scope: 's', key: 'k', digest: '' }
    const digests = ['a', 'b'].map((last) => `twinned${'x'.repeat(35)}${last}`)
    await withStore(async (opened) => {
      for (const digest of digests) {
        const claim = { owner: 'o', leaseMs: 60_000, retentionMs: 60_000, onCrash: 'hold' as const }
        await opened.claim({ ...claim, id: { ...id, key: digest, digest } })
      }
    })
    for (const args of [['show'], ['resolve', '--as', 'release', '--reason', 'r']]) {
      const [name = '', ...rest] = args
      const said = await cli(name, 'twinned', ...rest)
      expect(said.stderr).toMatch(/^onceward: twinned: is the beginning of several ids \(/)
      for (const digest of digests) expect(said.stderr).toContain(digest)
      expect(said.code).toBe(4)
    }
    expect((await cli('show', `${digests[0]}`)).code).toBe(0)
  })

  it.each([['-'], ['--'], ['-h'], ['-V'], ['--json']])(
    'take an id that begins with %s for an id',
    async (dashes) => {
      const digest = dashes.padEnd(43, 'x')
      await withStore((opened) =>
        opened.claim({
          id: { scope: 's', key: 'k', digest },
          owner: 'o',
          leaseMs: 60_000,
          retentionMs: 60_000,
          onCrash: 'hold',
        }),
      )
      const shown = [
        await cli('show', digest),
        await cli('show', '--json', digest),
        await command(['show', '--store', store, '--', digest.slice(0, 8)]),
      ]
      expect(shown.map(({ code, stderr }) => [code, stderr])).toEqual(shown.map(() => [0, '']))
      expect(shown.every(({ stdout }) => stdout.includes(digest))).toBe(true)
      const decide = ['--as', 'release', '--actor', '-anybody', '--reason', '-nothing-was-sent']
      expect((await cli('resolve', digest, ...decide)).stderr).toContain('is running, not held')
      expect((await cli('resolve', ...decide, digest)).stderr).toContain('is running, not held')
    },
  )

  it('take a beginning with one dash for an id, and one with two for a misspelt option', async () => {
    await claimed('s', 'k')
    expect((await cli('show', '-mpU6Nd')).stderr).toBe(
      'onceward: no operation has the id -mpU6Nd; take one from onceward ls\n',
    )
    expect((await cli('show', '--jsno')).stderr).toContain("unknown option '--jsno'")
  })

  it('tell stored failures from successes, and what a decision has done', async () => {
    const failed = await claimed('payments', 'f')
    const released = await claimed('payments', 'r')
    const said = await cli('resolve', failed.digest, '--as', 'failed', '--reason', 'card was stolen')
    expect(said.stdout).toBe(`${failed.digest} is marked as failed: duplicates fail\n`)
    const freed = await cli('resolve', released.digest, '--as', 'release', '--reason', 'no such charge')
    expect(freed.stdout).toBe(`${released.digest} is released: the next duplicate runs\n`)
    expect((await cli('ls', '--state', 'done')).stdout).toMatch(/ {2}f {2}done\/failed {2}/)
    expect(JSON.parse((await cli('ls', '--state', 'done', '--json')).stdout)).toMatchObject([
      { state: 'done', outcome: { kind: 'failure' } },
    ])
  })

  it('tell errors as JSON with --json', async () => {
    await claimed('s', 'held')
    const told = async (...args: string[]) => {
      const said = await cli(...args, '--json')
      expect([said.stdout, said.stderr.split('\n').length]).toEqual(['', 2])
      const { error } = JSON.parse(said.stderr)
      expect(error.exitCode).toBe(said.code)
      return error
    }
    expect(await told('show', 'aaaaaaaa')).toMatchObject({ kind: 'not-found', exitCode: 3 })
    expect(await told('show', 'aaa')).toMatchObject({ kind: 'usage', exitCode: 2 })
    expect(await told('ls', '--stat', 'held')).toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(/unknown option '--stat'/),
    })
    const nowhere = await command(['ls', '--json', '--store', 'sqlite:/nonexistent/a.sqlite'])
    expect(JSON.parse(nowhere.stderr).error).toMatchObject({ kind: 'store', exitCode: 5 })
  })

  it('doctor a store, and fail when the upstream does not answer', async () => {
    await claimed('s', 'held')
    const well = await cli('doctor', '--json')
    expect(well.code).toBe(0)
    expect(JSON.parse(well.stdout)).toContainEqual(expect.objectContaining({ level: 'warn', check: 'held' }))
    const ill = await cli('doctor', '--upstream', 'http://127.0.0.1:9')
    expect(ill.stdout).toMatch(/fail {2}upstream: /)
    expect(ill.code).toBe(1)
  })

  it('migrate a new file, and find nothing to do the second time', async () => {
    expect(JSON.parse((await cli('migrate', '--json')).stdout).applied.length).toBeGreaterThan(0)
    expect((await cli('migrate')).stdout).toBe('nothing to do: the schema is up to date\n')
  })

  it('find the store in the environment and in the config file, the flag first', async () => {
    await claimed('s', 'k')
    await writeFile(join(folder, 'onceward.config.json'), JSON.stringify({ store }))
    expect((await command(['ls'], { cwd: folder })).stdout).toContain('  k  held')
    const nowhere = `sqlite:${join(folder, 'none.sqlite')}`
    expect((await command(['ls'], { cwd: folder, env: { ONCEWARD_STORE: nowhere } })).code).toBe(5)
    expect(
      (await command(['ls', '--store', store], { cwd: folder, env: { ONCEWARD_STORE: nowhere } })).code,
    ).toBe(0)
  })

  it('print help and version on stdout and end with 0', async () => {
    expect(await command(['--version'])).toEqual({ code: 0, stdout: '0.0.0\n', stderr: '' })
    const help = await command(['gateway', '--help'])
    expect(help.code).toBe(0)
    for (const flag of [
      '--upstream',
      '--scope',
      '--store',
      '--require-key',
      '--trust-proxy',
      '--print-config',
      '--lease-ms',
    ])
      expect(help.stdout).toContain(flag)
    expect((await command([])).code).toBe(2)
  })

  it.each(['Content-Length: 3', 'transfer-encoding: chunked', 'Set-Cookie: a=1'])(
    'does not let a decision store %s, which would spoil every replay',
    async (header) => {
      const { digest } = await claimed('8:onceward/t', 'POST /p k')
      const done = [
        'resolve',
        digest,
        '--as',
        'done',
        '--reason',
        'seen',
        '--status',
        '201',
        '--header',
        header,
      ]
      const said = await cli(...done)
      expect([said.code, said.stderr]).toEqual([
        2,
        `onceward: --header ${header.split(':')[0]}: is never replayed; leave it out\n`,
      ])
      expect((await cli('ls', '--state', 'held')).stdout).toContain('POST /p k')
    },
  )
})
