/** Whatever becomes of the process that started a server, nothing stays behind: no process and no folder. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { expect, it, vi } from 'vitest'
import { describeWhere } from './index.mjs'
import { descendantsOf, isAlive } from './processes.mjs'

// Many servers start here, some of them with real fsyncs, and the machine may be busy with other tests.
vi.setConfig({ testTimeout: 90_000 })

const HARNESS = new URL('index.mjs', import.meta.url).href

await describeWhere(['redis', 'postgres'], 'the servers of a process', () => {
  it.each([
    ['ends by itself', 'process.exit(0)'],
    ['has an error nobody catches', `setImmediate(() => { throw new Error('lost') })`],
    ['is killed', `process.kill(process.pid, 'SIGKILL')`],
    ['is interrupted', `process.kill(process.pid, 'SIGINT')`],
    ['is terminated', `process.kill(process.pid, 'SIGTERM')`],
  ])('go when it %s', async (_, end) => {
    const owner = start(`
      const servers = [await startRedis(), await startPostgres(), await startRedis()]
      await servers[2].pause()
      const connection = await servers[1].query('SELECT 1')`)
    const servers = await owner.tells()
    const pids = servers.flatMap(({ pid }) => [pid, ...descendantsOf(pid)])
    expect(pids.length).toBeGreaterThan(5)
    expect(pids.every(isAlive)).toBe(true)
    owner.does(end)
    await owner.ended
    await expect.poll(() => pids.filter(isAlive), { timeout: 30_000 }).toEqual([])
    await expect
      .poll(() => servers.filter(({ folder }) => existsSync(folder)), { timeout: 30_000 })
      .toEqual([])
  })

  it('go also when it dies while one of them is down', async () => {
    const owner = start(`
      const servers = [await startRedis(), await startRedis()]
      await servers[0].kill()`)
    const servers = await owner.tells()
    owner.does(`process.kill(process.pid, 'SIGKILL')`)
    await owner.ended
    await expect.poll(() => isAlive(servers[1].pid), { timeout: 30_000 }).toBe(false)
    await expect
      .poll(() => servers.filter(({ folder }) => existsSync(folder)), { timeout: 30_000 })
      .toEqual([])
  })

  it('do not keep it from ending', async () => {
    const owner = start('const servers = [await startRedis()]')
    await owner.tells()
    owner.does('process.stdin.destroy()')
    expect(await owner.ended).toBe(0)
  })
})

await describeWhere(['rabbitmq', 'nats'], 'the brokers of a process', () => {
  it('go with all their helpers when it is killed', async () => {
    const owner = start('const servers = await Promise.all([startRabbitmq(), startNats()])')
    const servers = await owner.tells()
    const pids = servers.flatMap(({ pid }) => [pid, ...descendantsOf(pid)])
    expect(pids.length).toBeGreaterThan(3)
    owner.does(`process.kill(process.pid, 'SIGKILL')`)
    await owner.ended
    await expect.poll(() => pids.filter(isAlive), { timeout: 30_000 }).toEqual([])
    await expect
      .poll(() => servers.filter(({ folder }) => existsSync(folder)), { timeout: 30_000 })
      .toEqual([])
  })
})

/** Runs a script that starts servers, tells of them in one line, and then does what it is told. */
function start(work) {
  const script = `
    import { createInterface } from 'node:readline'
    import { startNats, startPostgres, startRabbitmq, startRedis } from ${JSON.stringify(HARNESS)}
    ${work}
    console.log(JSON.stringify(servers.map(({ pid, folder }) => ({ pid, folder }))))
    createInterface({ input: process.stdin }).on('line', (line) => eval(line))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface({ input: child.stdout })
  const told = new Promise((resolve, reject) => {
    lines.once('line', resolve)
    child.once('exit', (code) => reject(new Error(`the script ended with ${code} and told nothing`)))
  })
  return {
    tells: async () => JSON.parse(await told),
    does: (line) => child.stdin.write(`${line}\n`),
    ended: new Promise((resolve) => child.once('exit', (code) => resolve(code))),
  }
}
