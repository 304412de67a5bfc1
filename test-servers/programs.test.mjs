/** Where a server comes from: a URL, the machine, a prefix made before, or one made now. */
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withFixture } from '../scripts/gates/fixture.mjs'
import { runNode } from '../scripts/house/run.mjs'

const AT = (name) => JSON.stringify(new URL(name, import.meta.url).pathname)

/** A server that can tell its version. */
const SERVER = '#!/bin/sh\necho "Redis server v=7.2.4 sha=00000000:0"\n'

/** Stands in for apt: it downloads one package, slowly, and counts its calls. */
const APT = `#!/bin/sh
case "$*" in
  *" update") echo update >> "$CALLS"; sleep 0.3 ;;
  *install*) for word in "$@"; do case "$word" in Dir::Cache=*) touch "\${word#Dir::Cache=}/archives/redis-server_7_all.deb" ;; esac; done ;;
esac
`
const DPKG_DEB = `#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/lib/x"
cp "$SERVER" "$3/usr/bin/redis-server"
touch "$3/usr/lib/x/libx.so.1"
`

describe('a server', () => {
  it('is named by its URL first, whose password is not shown', async () => {
    const env = { TEST_REDIS_URL: 'redis://:s3cret@db.example:6379/' }
    expect(await which('redis', env)).toEqual({ source: 'url', detail: 'redis://db.example:6379/' })
    expect(await which('redis', { TEST_REDIS_URL: 'none' })).toMatchObject({ source: 'missing' })
    expect(await which('mysql', {})).toEqual({ source: 'missing', detail: 'set TEST_MYSQL_URL' })
  })

  it('is found on the path if it is one', async () => {
    await withFixture({ 'bin/redis-server': SERVER }, async (root) => {
      const file = executable(root, 'bin/redis-server')
      expect(await which('redis', { PATH: join(root, 'bin') })).toEqual({ source: 'system', detail: file })
    })
  })

  it.each([
    ['is something else of that name', 'echo "a wrapper, version 15.1"', ['initdb', 'pg_basebackup']],
    ['has no initdb beside it', 'echo "postgres (PostgreSQL) 15.1"', ['pg_basebackup']],
    ['does not run', 'exit 127', ['initdb', 'pg_basebackup']],
  ])('is passed over if it %s', async (_, line, beside) => {
    const files = Object.fromEntries(beside.map((name) => [`bin/${name}`, '']))
    await withFixture({ ...files, 'bin/postgres': `#!/bin/sh\n${line}\n` }, async (root) => {
      const file = executable(root, 'bin/postgres')
      const { detail } = await which('postgres', { PATH: join(root, 'bin'), ONCEWARD_CACHE: root })
      expect(detail).not.toBe(file)
    })
  })

  it('whose start script tells no version has that of the plugins beside it', async () => {
    const script = { 'bin/rabbitmq-server': '#!/bin/sh\nexit 1\n' }
    await withFixture({ ...script, 'plugins/rabbit-3.12.1/x': '' }, async (root) => {
      const file = executable(root, 'bin/rabbitmq-server')
      expect(await which('rabbitmq', { PATH: join(root, 'bin') })).toEqual({ source: 'system', detail: file })
    })
    await withFixture(script, async (root) => {
      const file = executable(root, 'bin/rabbitmq-server')
      const { detail } = await which('rabbitmq', { PATH: join(root, 'bin'), ONCEWARD_CACHE: root })
      expect(detail).not.toBe(file)
    })
  })

  it('is taken with all that it needs beside it', async () => {
    const files = {
      'bin/postgres': '#!/bin/sh\necho "postgres (PostgreSQL) 15.1"\n',
      'bin/initdb': '',
      'bin/pg_basebackup': '',
    }
    await withFixture(files, async (root) => {
      const file = executable(root, 'bin/postgres')
      expect(await which('postgres', { PATH: join(root, 'bin') })).toEqual({ source: 'system', detail: file })
    })
  })
})

describe('a private prefix', () => {
  it('is made once for all who want it at the same time, and found by those who come later', async () => {
    await withFixture(tools(), async (root) => {
      const env = withTools(root)
      const files = await Promise.all([1, 2, 3].map(() => programIn(env)))
      expect(new Set(files.map(({ output }) => output)).size).toBe(1)
      expect(files[0].output).toMatch(/redis-server\/usr\/bin\/redis-server prefix 7\.2\.4 .*usr\/lib\/x\n$/)
      expect(readFileSync(env.CALLS, 'utf8')).toBe('update\n')
      expect(existsSync(join(root, 'cache', 'redis-server.prefix.lock'))).toBe(false)
      expect((await programIn({ ...env, PATH: '' })).output).toBe(files[0].output)
    })
  })

  it('that cannot be made says what is missing', async () => {
    const broken = {
      ...tools(),
      'bin/apt-get': '#!/bin/sh\necho "E: Unable to fetch some archives" >&2\nexit 100\n',
    }
    await withFixture(broken, async (root) => {
      const { output } = await programIn(withTools(root))
      expect(output).toBe(
        'redis cannot be had: no redis-server on this machine, and it cannot be fetched: ' +
          'apt-get update failed: E: Unable to fetch some archives\n',
      )
    })
    await withFixture({}, async (root) => {
      const { output } = await programIn({ PATH: root, ONCEWARD_CACHE: root })
      expect(output).toContain('apt-get is not on this machine; install redis-server by hand')
    })
  })
})

/** The machine itself may have a Redis, so ask for that of the prefix. */
function programIn(env) {
  const script = `
    import { programInPrefix } from ${AT('programs.mjs')}
    const { file, source, version, env } = await programInPrefix('redis')
      .catch((error) => { console.log(error.message); process.exit() })
    console.log(file, source, version, env.LD_LIBRARY_PATH)`
  return evaluate(script, env)
}

async function which(name, env) {
  const script = `
    import { which } from ${AT('programs.mjs')}
    console.log(JSON.stringify(await which(${JSON.stringify(name)})))`
  return JSON.parse((await evaluate(script, env)).output)
}

function evaluate(script, env) {
  return withFixture({ 'script.mjs': script }, (root) => runNode(join(root, 'script.mjs'), [], { env }))
}

function tools() {
  return {
    'bin/apt-get': APT,
    'bin/dpkg-deb': DPKG_DEB,
    'bin/dpkg-query': '#!/bin/sh\necho "installed libc6"\n',
    server: SERVER,
  }
}

function withTools(root) {
  for (const tool of ['bin/apt-get', 'bin/dpkg-deb', 'bin/dpkg-query', 'server']) executable(root, tool)
  return {
    PATH: [join(root, 'bin'), '/usr/bin', '/bin'].join(delimiter),
    ONCEWARD_CACHE: join(root, 'cache'),
    CALLS: join(root, 'calls'),
    SERVER: join(root, 'server'),
  }
}

function executable(root, file) {
  chmodSync(join(root, file), 0o755)
  return join(root, file)
}
