/** A run of the tests shares its servers, and says what it went without. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withFixture } from '../scripts/gates/fixture.mjs'
import { ROOT } from '../scripts/house/paths.mjs'
import { runNode } from '../scripts/house/run.mjs'
import * as harness from './index.mjs'
import { isAlive } from './processes.mjs'
import { serverTable, sumUpServers } from './server-table.mjs'

const { describeWhere, describeWith, sharedRedis, startRedis } = harness
const HARNESS = JSON.stringify(join(ROOT, 'test-servers/index.mjs'))
const SETUP = JSON.stringify(join(ROOT, 'test-servers/vitest-setup.mjs'))
const CONFIG = `export default { test: { include: ['*.test.mjs'], maxWorkers: 2, globalSetup: [${SETUP}] } }\n`
const IMPORT = `import { expect, it } from 'vitest'\nimport { appendFileSync } from 'node:fs'\nimport * as servers from ${HARNESS}\n`
const NOTE = `const redis = await servers.sharedRedis()
  const pid = /process_id:(\\d+)/.exec(await redis.command('INFO', 'server'))[1]
  appendFileSync(new URL('pids', import.meta.url), pid + '\\n')`

await describeWith(['redis', 'postgres', 'mariadb'], 'the shared servers', ({ redis, postgres, mariadb }) => {
  it('answer, and are the same for all who ask', async () => {
    expect(await redis.command('PING')).toBe('PONG')
    expect(await postgres.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(await mariadb.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect((await sharedRedis()).url).toBe(redis.url)
  })

  it('have a database for each who asks', async () => {
    for (const server of [postgres, mariadb]) {
      const [one, other] = [await server.createDatabase(), await server.createDatabase()]
      expect(one.name).not.toBe(other.name)
      expect(new URL(one.url).pathname).toBe(`/${one.name}`)
      await Promise.all([one.drop(), other.drop()])
    }
  })

  it('cannot be stopped by one of many', () => {
    expect(redis).not.toHaveProperty('stop')
    expect(postgres).not.toHaveProperty('kill')
  })
})

await describeWhere('redis', 'a run', () => {
  it('has one server for all its workers, and ends it', { timeout: 120_000 }, async () => {
    const test = `${IMPORT}it('notes', async () => { ${NOTE} })\n`
    const ran = await vitestIn({ 'a.test.mjs': test, 'b.test.mjs': test, 'c.test.mjs': test })
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.pids).toHaveLength(3)
    expect(new Set(ran.pids).size).toBe(1)
    expect(isAlive(ran.pids[0])).toBe(false)
    expect(ran.output).toMatch(/redis +\d+\.\d+\.\d+ +(?:prefix|system) +ran \(1 started\)/)
  })

  it('ends it also when it is interrupted', { timeout: 120_000 }, async () => {
    const hangs = `${IMPORT}it('hangs', async () => { ${NOTE}\n appendFileSync(new URL('pids', import.meta.url), process.env.ONCEWARD_TEST_RUN + '\\n')\n process.kill(process.ppid, 'SIGINT')\n await new Promise(() => {}) }, 60_000)\n`
    const ran = await vitestIn({ 'a.test.mjs': hangs })
    expect(ran.code).not.toBe(0)
    expect(ran.pids).toHaveLength(2)
    await expect.poll(() => isAlive(ran.pids[0]), { timeout: 30_000 }).toBe(false)
    // The output of a run that is interrupted may be lost, so the second line tells where its servers were.
    const [, host] = ran.lines
    await expect.poll(() => existsSync(dirname(host)), { timeout: 30_000 }).toBe(false)
  })

  it('skips what needs a server that cannot be had, with the reason', { timeout: 120_000 }, async () => {
    const ran = await vitestIn({ 'a.test.mjs': needsRedis() }, { TEST_REDIS_URL: 'none' })
    expect(ran.code).toBe(0)
    expect(ran.output).toMatch(/1 passed \| 2 skipped/)
    expect(ran.output).toMatch(/redis +missing +skipped: TEST_REDIS_URL says "none"/)
  })

  it('fails of it where everything is required', { timeout: 120_000 }, async () => {
    const env = { TEST_REDIS_URL: 'none', ONCEWARD_REQUIRE_ALL: '1' }
    const ran = await vitestIn({ 'a.test.mjs': needsRedis() }, env)
    expect(ran.code).not.toBe(0)
    expect(ran.output).toMatch(/2 failed/)
    expect(ran.output).toMatch(/redis cannot be had: TEST_REDIS_URL says "none"/)
  })

  it('requires no MySQL, which only a URL can name', { timeout: 120_000 }, async () => {
    const test = `${IMPORT}it('runs', () => {})\nawait servers.describeWith('mysql', 'on MySQL', () => { it('x', () => {}) })\n`
    const ran = await vitestIn({ 'a.test.mjs': test }, { TEST_MYSQL_URL: '', ONCEWARD_REQUIRE_ALL: '1' })
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.output).toMatch(/1 skipped/)
  })
})

await describeWhere('redis', 'a server that is named by a URL', () => {
  let server
  beforeEach(async () => {
    server = await startRedis({ password: 's3cret' })
  })
  afterEach(() => server.stop())

  it('is used, and left running', async () => {
    const work = `
      const { sharedRedis } = await import(${HARNESS})
      const { url, source, version, command } = await sharedRedis()
      console.log(JSON.stringify({ url, source, version, says: await command('PING') }))`
    const ran = await evaluate(work, { TEST_REDIS_URL: server.url })
    expect(JSON.parse(ran.output)).toEqual({
      url: server.url,
      source: 'url',
      version: server.version,
      says: 'PONG',
    })
    expect(await server.command('PING')).toBe('PONG')
  })

  it('and is not there is an error, not a skip, without its password', async () => {
    await server.kill()
    const work = `
      const { ServerMissing, sharedRedis } = await import(${HARNESS})
      await sharedRedis().catch((error) => console.log(error instanceof ServerMissing, error.message))`
    const { output } = await evaluate(work, { TEST_REDIS_URL: server.url })
    expect(output).toMatch(/^false TEST_REDIS_URL names 127\.0\.0\.1:\d+, which says: .*ECONNREFUSED/)
    expect(output).not.toContain('s3cret')
  })
})

it('has a type for everything it offers, and offers everything that has one', () => {
  const declared = readFileSync(join(ROOT, 'test-servers/index.d.mts'), 'utf8')
  const names = [...declared.matchAll(/^export (?:function|class) (\w+)/gm)].map(([, name]) => name)
  expect(Object.keys(harness).sort()).toEqual(names.sort())
})

describe('the table of servers', () => {
  it('has a row for each engine, version and source', () => {
    const uses = [
      { engine: 'redis', version: '7.0.15', source: 'prefix' },
      { engine: 'mysql', missing: 'no URL' },
      { engine: 'redis', version: '7.0.15', source: 'prefix' },
      { engine: 'postgres', version: '15.1', source: 'url' },
    ]
    expect(serverTable(sumUpServers(uses)).split('\n')).toEqual([
      '  mysql             missing  skipped: no URL',
      '  postgres  15.1    url      ran (not ours)',
      '  redis     7.0.15  prefix   ran (2 started)',
    ])
  })
})

function needsRedis() {
  return `${IMPORT}
    it('runs', () => {})
    await servers.describeWith(['redis'], 'on a shared one', ({ redis }) => { it('x', () => expect(redis.url)) })
    await servers.describeWhere('redis', 'on its own', () => { it('x', () => {}) })\n`
}

/** Runs vitest with our set-up on a small tree of its own; `lines` is what its tests noted, pids as a rule. */
async function vitestIn(files, env = {}) {
  return withFixture({ 'vitest.config.mjs': CONFIG, pids: '', ...files }, async (root) => {
    const ran = await runNode(join(ROOT, 'node_modules/vitest/vitest.mjs'), ['run', '--root', root], {
      cwd: root,
      env: { ...ownEnvironment(), ...env },
      timeoutMs: 80_000,
    })
    const noted = readFileSync(join(root, 'pids'), 'utf8').trim()
    const lines = noted === '' ? [] : noted.split('\n')
    return { ...ran, lines, pids: lines.map(Number) }
  })
}

function evaluate(script, env) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      env: { ...ownEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (bytes) => {
      output += bytes
    })
    child.once('close', (code) => resolve({ code, output }))
  })
}

/** Ours, without what belongs to the run that we are in. */
function ownEnvironment() {
  const mine = /^(?:VITEST|TEST$|ONCEWARD_)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !mine.test(name)))
}
