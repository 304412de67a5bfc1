import { once } from 'node:events'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { unknownVariables } from '../src/config/unknown-variables.ts'
import { command } from './support/in-process.ts'
import { onceward, SLOW_MS, workshop } from './support/processes.ts'
import { refusesConnections } from './support/servers.ts'

const GOOD = [
  'gateway',
  '--upstream',
  'http://127.0.0.1:9',
  '--scope',
  'public',
  '--port',
  '0',
  '--admin-port',
  '0',
]

describe('a variable that is no setting', () => {
  it('is known with the name that was probably meant, and what the platform sets is left alone', () => {
    expect(
      unknownVariables({
        ONCEWARD_LEASE_M: '1',
        ONCEWARD_QQQQQQQQQQQQQQQQQQQQ: '1',
        ONCEWARD_PORT: '1',
        ONCEWARD_CONFIG: 'a',
        ONCEWARD_SERVICE_HOST: '10.0.0.1',
        ONCEWARD_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
        PATH: '',
      }),
    ).toEqual([
      { variable: 'ONCEWARD_LEASE_M', meant: 'ONCEWARD_LEASE_MS' },
      { variable: 'ONCEWARD_QQQQQQQQQQQQQQQQQQQQ', meant: undefined },
    ])
  })
})

describe('a start that cannot succeed', { timeout: SLOW_MS }, () => {
  const shop = workshop()
  afterEach(() => shop.clear())

  const attempt = async (
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string>; uid?: number } = {},
  ) => {
    const end = await shop.end(onceward(args, { cwd: await shop.folder(), ...options })).ended
    expect(end.stdout).toBe('')
    // One line for a person; nothing else, and no stack.
    expect(end.stderr.trim().split('\n')).toHaveLength(1)
    return end
  }

  it.each([
    [{ path: '/a/*/b' }, /^onceward: my.json: route \/a\/\*\/b: \* stands for everything below/],
    [{ path: '/a', key: { json: [] } }, /^onceward: my.json: .*routes?/],
    [
      { path: '/a', metod: 'POST' },
      /^onceward: my.json: routes\[0\].metod is not a known field; did you mean method/,
    ],
  ])('names the file of a wrong route (%j)', async (route, message) => {
    const folder = await shop.folder()
    await writeFile(join(folder, 'my.json'), JSON.stringify({ routes: [route] }))
    const end = await attempt([...GOOD, '--config', 'my.json'], { cwd: folder })
    expect(end.stderr).toMatch(message)
    expect(end.code).toBe(2)
  })

  it.each<[string, readonly string[], RegExp]>([
    ['no upstream', ['gateway', '--scope', 'public'], /--upstream is missing: give/],
    ['no scope', ['gateway', '--upstream', 'http://a'], /--scope is missing: .*public/],
    [
      'an unknown flag',
      [...GOOD, '--upstrem', 'x'],
      /unknown option '--upstrem' \(Did you mean --upstream\?\)/,
    ],
    ['an unknown command', ['gatway'], /unknown command 'gatway' \(Did you mean gateway\?\)/],
    ['a flag without its value', [...GOOD, '--host'], /option '--host <text>' argument missing/],
    [
      'a port that is none',
      [...GOOD, '--port', '99999'],
      /^onceward: --port: must be at most 65535, not 99999/,
    ],
    [
      'a number that is none',
      [...GOOD, '--lease-ms', 'soon'],
      /--lease-ms: give a whole number of milliseconds, not "soon"/,
    ],
    ['a lease that is too short', [...GOOD, '--lease-ms', '5'], /--lease-ms: must be at least 50, not 5/],
    [
      'a choice that is none',
      [...GOOD, '--on-crash', 'retry'],
      /--on-crash: give hold or rerun, not "retry"/,
    ],
    [
      'an upstream that is no URL',
      [...GOOD, '--upstream', 'localhost:3000'],
      /--upstream: give an http:\/\/ or https:\/\/ URL/,
    ],
    [
      'an upstream with a path',
      [...GOOD, '--upstream', 'http://a/b'],
      /--upstream: give scheme, host and port only, such as http:\/\/a/,
    ],
    [
      'a scope that is none',
      [...GOOD, '--scope', 'tenant'],
      /--scope: give public, header:NAME, jwt:CLAIM or cert/,
    ],
    [
      'a scope that is a secret',
      [...GOOD, '--scope', 'header:Authorization'],
      /--scope: .*secret.*jwt:CLAIM/,
    ],
    ['jwt without a key', [...GOOD, '--scope', 'jwt:sub'], /--scope jwt needs a key/],
    ['cert without TLS', [...GOOD, '--scope', 'cert'], /--scope cert needs --tls-cert/],
    ['a store that is none', [...GOOD, '--store', 'mongo://h'], /is not a store; give sqlite:FILE/],
    ['a store without a file', [...GOOD, '--store', 'sqlite:'], /names no file/],
    ['a cache that is none', [...GOOD, '--cache', 'memcached://h'], /--cache memcached:\/\/h: is not Redis/],
    [
      'a cache before Redis',
      [...GOOD, '--store', 'redis://h', '--cache', 'redis://h'],
      /--cache: goes before a SQL store/,
    ],
    [
      'a file of keys that is not there',
      [...GOOD, '--encryption-key-file', 'none'],
      /--encryption-key-file none: cannot be read \(ENOENT\)/,
    ],
    ['encryption without keys', [...GOOD, '--encryption', 'accept-plain'], /needs --encryption-key-file/],
    [
      'an admin port for all',
      [...GOOD, '--admin-host', '0.0.0.0'],
      /no credentials yet and listens on loopback only/,
    ],
    [
      'a trusted peer that is none',
      [...GOOD, '--trust-proxy', '10.0.0.0/99'],
      /--trust-proxy 10.0.0.0\/99: give an address or a CIDR/,
    ],
    [
      'a header that is never replayed',
      [...GOOD, '--replay-headers', 'Set-Cookie'],
      /Set-Cookie: it is never told again/,
    ],
    [
      'a config file that is not there',
      [...GOOD, '--config', 'none.json'],
      /none\.json: cannot be read \(no such file\)/,
    ],
    [
      'a secret file that is not there',
      [...GOOD, '--scope', 'jwt:sub', '--jwt-secret-file', 'none'],
      /none: cannot be read \(ENOENT\)/,
    ],
    [
      'a certificate that is not there',
      [...GOOD, '--tls-cert', 'c', '--tls-key', 'k'],
      /--tls-cert c: cannot be read \(ENOENT\)/,
    ],
  ])('refuses %s and ends with 2', async (_, args, line) => {
    const end = await command(args)
    expect(end.stdout).toBe('')
    expect(end.stderr.trim().split('\n')).toHaveLength(1)
    expect(end.stderr).toMatch(line)
    expect(end.code).toBe(2)
  })

  it.each<[string, unknown, RegExp]>([
    ['an unknown field', { upstraem: 'x' }, /upstraem is not a known field; did you mean upstream\?/],
    [
      'an unknown field of a route',
      { routes: [{ path: '/p', onCrush: 'hold' }] },
      /routes\[0\]\.onCrush is not a known field; did you mean onCrash\?/,
    ],
    ['a route without a path', { routes: [{ key: 'required' }] }, /routes\[0\] needs path/],
    [
      'a wrong value in a route',
      { routes: [{ path: '/p' }, { path: '/q', key: 'maybe' }] },
      /routes\[1\]\.key: give required, optional, ignored/,
    ],
    [
      'failOpen without a name',
      { routes: [{ path: '/p', failOpen: true }] },
      /routes\[0\]\.failOpen needs a name/,
    ],
    [
      'a star in the middle',
      { upstream: 'http://a', scope: 'public', routes: [{ path: '/a/*/b' }] },
      /\* stands for everything below and can only come last/,
    ],
    [
      'a key derived from nothing',
      { upstream: 'http://a', scope: 'public', routes: [{ path: '/a', key: {} }] },
      /key derives from nothing/,
    ],
    ['no object', [], /give an object/],
  ])('refuses a config file with %s and ends with 2', async (_, config, line) => {
    const cwd = await shop.folder()
    await writeFile(join(cwd, 'onceward.config.json'), JSON.stringify(config))
    const end = await command(['gateway', '--port', '0', '--admin-port', '0'], { cwd })
    expect(end.stderr).toMatch(/^onceward: (onceward\.config\.json|route )/)
    expect(end.stderr).toMatch(line)
    expect(end.code).toBe(2)
  })

  it('says where a config file is not JSON', async () => {
    const cwd = await shop.folder()
    await writeFile(join(cwd, 'onceward.config.json'), '{ "port": }')
    const end = await attempt(['gateway'], { cwd })
    expect(end.stderr).toMatch(/^onceward: onceward\.config\.json: is not JSON: /)
    expect(end.code).toBe(2)
  })

  it.each(['--port', '--admin-port'])(
    'names the mend when %s is in use, and leaves nothing behind',
    async (flag) => {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      shop.after(() => other.close())
      const { port } = other.address() as { port: number }
      const cwd = await shop.folder()
      const end = await attempt([...GOOD, flag, String(port)], { cwd })
      expect(end.stderr).toBe(
        `onceward: port ${port} on 127.0.0.1 is in use; choose another with ${flag}, or 0 for a free one\n`,
      )
      expect(end.code).toBe(1)
      expect(await readdir(cwd)).toEqual([])
    },
  )

  it('ends with 5 for a file that is no database, and leaves the file as it is', async () => {
    const cwd = await shop.folder()
    await writeFile(
      join(cwd, 'a.sqlite'),
      'this is not a database, it only has its name, and is long enough to be read',
    )
    for (const args of [
      [...GOOD, '--store', 'sqlite:a.sqlite'],
      ['ls', '--store', 'sqlite:a.sqlite'],
      ['doctor', '--store', 'sqlite:a.sqlite'],
    ]) {
      const end = await attempt(args, { cwd })
      expect(end.stderr).toMatch(/^onceward: a\.sqlite is damaged or is not a SQLite database .*restore it/)
      expect(end.code).toBe(5)
    }
    expect(await readdir(cwd)).toEqual(['a.sqlite'])
  })

  it('ends with 5 for a schema that is newer than the program', async () => {
    const cwd = await shop.folder()
    expect((await shop.end(onceward(['migrate', '--store', 'sqlite:n.sqlite'], { cwd })).ended).code).toBe(0)
    const { sqliteStore } = await import('onceward/sqlite')
    const store = sqliteStore(join(cwd, 'n.sqlite'))
    await store.stats()
    store.database.exec("INSERT INTO onceward_migrations (number, name, applied_at) VALUES (999, 'later', 0)")
    await store.close()
    const end = await attempt([...GOOD, '--store', 'sqlite:n.sqlite'], { cwd })
    expect(end.stderr).toMatch(/version 999, this program knows \d+; upgrade onceward/)
    expect(end.code).toBe(5)
  })

  it('ends with 5 for a file that cannot be written to', async () => {
    const cwd = await shop.folder()
    await shop.end(onceward(['migrate', '--store', 'sqlite:r.sqlite'], { cwd })).ended
    await chmod(join(cwd, 'r.sqlite'), 0o444)
    await chmod(cwd, 0o555)
    shop.after(() => chmod(cwd, 0o755))
    // Root may write to anything, so the command runs as nobody.
    const end = await attempt([...GOOD, '--store', 'sqlite:r.sqlite'], {
      cwd,
      ...(process.getuid?.() === 0 ? { uid: 65534 } : {}),
    })
    expect(end.stderr).toMatch(
      /^onceward: the SQLite database r\.sqlite is read-only; give this user the right/,
    )
    expect(end.code).toBe(5)
  })

  it('ends with 5 for a folder that cannot be made', async () => {
    const cwd = await shop.folder()
    await writeFile(join(cwd, 'file'), '')
    const end = await attempt([...GOOD, '--store', 'sqlite:file/below/a.sqlite'], { cwd })
    expect(end.stderr).toMatch(/its folder cannot be made \(E\w+\); choose a folder that can be written to/)
    expect(end.code).toBe(5)
  })

  it.each(['ls', 'show', 'resolve', 'doctor'])(
    'ends with 5 when %s is asked about a file that is not there, and makes none',
    async (command) => {
      const cwd = await shop.folder()
      const args =
        { ls: [], doctor: [], show: ['abcdef'], resolve: ['abcdef', '--as', 'release', '--reason', 'r'] }[
          command
        ] ?? []
      const end = await attempt([command, ...args, '--store', 'sqlite:none.sqlite'], { cwd })
      expect(end.stderr).toMatch(/there is no such file; check the path, or make it with onceward migrate/)
      expect(end.code).toBe(5)
      expect(await readdir(cwd)).toEqual([])
    },
  )
})

describe('a start that succeeds', { timeout: SLOW_MS }, () => {
  const shop = workshop()
  afterEach(() => shop.clear())

  it('does not need the upstream to be there yet, and says that it is not', async () => {
    const store = `sqlite:${join(await shop.folder(), 'new', 'folder', 'a.sqlite')}`
    const gateway = await shop.gateway([
      '--upstream',
      'http://127.0.0.1:9',
      '--scope',
      'public',
      '--store',
      store,
    ])
    const answer = await fetch(gateway.url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    expect([answer.status, await answer.json()]).toMatchObject([502, { effect: 'none', retryable: true }])
    await expect.poll(() => gateway.stderr()).toContain('the upstream cannot be reached yet')
    expect(await refusesConnections(gateway.url)).toBe(false)
  })
})
