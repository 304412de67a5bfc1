import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { onceward, SLOW_MS, workshop } from './support/processes.ts'
import { refusesConnections, startRaw, startUpstream, until } from './support/servers.ts'

describe('gateway processes on one SQLite file', { timeout: SLOW_MS }, () => {
  const shop = workshop()
  afterEach(() => shop.clear())

  const post = (url: string, key: string, body: string, path = '/payments') =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'Idempotency-Key': key, 'Content-Type': 'application/json' },
      body,
    })

  it('let 200 parallel requests with one key through once, and answer all with the same bytes', async () => {
    let charged = 0
    const upstream = await startUpstream(async (_, response) => {
      charged++
      await new Promise((resolve) => setTimeout(resolve, 200))
      response
        .writeHead(201, { 'Content-Type': 'application/json' })
        .end(JSON.stringify({ id: charged, at: Math.random() }))
    })
    shop.after(() => upstream.close())
    const store = `sqlite:${join(await shop.folder(), 'one.sqlite')}`
    const args = ['--upstream', upstream.url, '--scope', 'public', '--store', store]
    // Started at the same time: both want to bring the schema up to date.
    const gateways = await Promise.all([shop.gateway(args), shop.gateway(args)])
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const answer = await post(gateways[n % 2]?.url ?? '', 'one-key', '{"amount":1}')
        const bytes = Buffer.from(await answer.arrayBuffer())
        return `${answer.status} ${createHash('sha256').update(bytes).digest('hex')}`
      }),
    )
    expect(charged).toBe(1)
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^201 /)
  })

  it('hold what a killed gateway was doing, until it is resolved from the command line', async () => {
    let runs = 0
    const upstream = await startRaw(() => void runs++)
    shop.after(() => upstream.close())
    const folder = await shop.folder()
    const store = `sqlite:${join(folder, 'held.sqlite')}`
    const args = ['--upstream', upstream.url, '--scope', 'public', '--store', store, '--lease-ms', '400']
    const first = await shop.gateway(args)
    const cut = post(first.url, 'k', '{"amount":1}').catch(() => 'cut')
    await until(() => runs === 1)
    first.child.kill('SIGKILL')
    expect(await cut).toBe('cut')

    // No gateway is running: the command itself finds that the claim has lapsed.
    const held = await until(async () => {
      const { stdout } = await shop.end(onceward(['ls', '--state', 'held', '--store', store])).ended
      return stdout
    })
    expect(held).toMatch(/^\S{16} {2}8:onceward\/public {2}POST \/payments k {2}held {2}1 {2}\d+ {2}\d+s\n$/)
    const id = held.slice(0, 16)

    const second = await shop.gateway(args)
    const unknown = await post(second.url, 'k', '{"amount":1}')
    expect(unknown.status).toBe(409)
    expect(await unknown.json()).toMatchObject({
      code: 'outcome-unknown',
      effect: 'unknown',
      retryable: false,
    })
    expect(unknown.headers.has('retry-after')).toBe(false)

    const body = join(folder, 'body.json')
    await writeFile(body, '{"id":"from the operator"}')
    const resolved = await shop.end(
      onceward([
        'resolve',
        id,
        '--store',
        store,
        '--as',
        'done',
        '--status',
        '201',
        '--body-file',
        body,
        '--reason',
        'seen in the ledger',
      ]),
    ).ended
    expect(resolved).toMatchObject({ code: 0, stderr: '' })
    const replay = await post(second.url, 'k', '{"amount":1}')
    expect(replay.status).toBe(201)
    expect(replay.headers.get('idempotent-replayed')).toBe('true')
    expect(replay.headers.get('content-type')).toBe('application/json')
    expect(await replay.text()).toBe('{"id":"from the operator"}')
    expect(runs).toBe(1)

    const again = await shop.end(
      onceward(['resolve', id, '--store', store, '--as', 'release', '--reason', 'x']),
    ).ended
    expect(again.code).toBe(4)
    expect(again.stderr).toMatch(/^onceward: the operation is done, not held; nothing was changed\n$/)
    const shown = await shop.end(onceward(['show', id, '--store', store, '--json'])).ended
    expect(JSON.parse(shown.stdout)).toMatchObject({
      state: 'done',
      audit: [{ as: 'done', actor: 'tester', reason: 'seen in the ledger' }],
      outcome: { kind: 'response', status: 201 },
    })
  })

  it('take over what a killed gateway was doing on a rerun route', async () => {
    const attempts: string[] = []
    const upstream = await startRaw((request, response) => {
      attempts.push(String(request.headers['onceward-attempt']))
      if (attempts.length > 1) response.end(`attempt ${attempts.length}`)
    })
    shop.after(() => upstream.close())
    const folder = await shop.folder()
    const config = join(folder, 'config.json')
    await writeFile(
      config,
      JSON.stringify({
        upstream: upstream.url,
        scope: 'public',
        leaseMs: 400,
        store: `sqlite:${join(folder, 'rerun.sqlite')}`,
        routes: [{ path: '/emails/:id', onCrash: 'rerun' }],
      }),
    )
    const first = await shop.gateway(['--config', config])
    const cut = post(first.url, 'k', '{}', '/emails/7').catch(() => 'cut')
    await until(() => attempts.length === 1)
    first.child.kill('SIGKILL')
    await cut
    const second = await shop.gateway(['--config', config])
    const answer = await post(second.url, 'k', '{}', '/emails/7')
    expect([answer.status, await answer.text()]).toEqual([200, 'attempt 2'])
    expect(attempts).toEqual(['1', '2'])
  })

  it('finish what runs on SIGTERM, refuse what is new, and end with 0', async () => {
    let finish: () => void = () => {}
    let reached = 0
    const upstream = await startUpstream(async (_, response) => {
      reached++
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      response.end('finished')
    })
    shop.after(() => upstream.close())
    const store = `sqlite:${join(await shop.folder(), 'stop.sqlite')}`
    const gateway = await shop.gateway(['--upstream', upstream.url, '--scope', 'public', '--store', store])
    const running = post(gateway.url, 'k', '{}')
    await until(() => reached === 1)
    gateway.child.kill('SIGTERM')
    await until(() => refusesConnections(gateway.url))
    finish()
    const answer = await running
    expect([answer.status, await answer.text()]).toEqual([200, 'finished'])
    const end = await gateway.ended
    expect(end.code).toBe(0)
    expect(end.stdout).toBe(`onceward gateway listening on ${gateway.url}\n`)
    expect(reached).toBe(1)
    const { stdout } = await shop.end(onceward(['ls', '--store', store, '--json'])).ended
    expect(JSON.parse(stdout)).toMatchObject([{ state: 'done' }])
  })

  it('finish and store what runs on SIGTERM though its client has gone', async () => {
    let finish: () => void = () => {}
    const upstream = await startUpstream(async (_, response) => {
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      response.end('finished')
    })
    shop.after(() => upstream.close())
    const store = `sqlite:${join(await shop.folder(), 'gone.sqlite')}`
    const gateway = await shop.gateway(['--upstream', upstream.url, '--scope', 'public', '--store', store])
    const client = new AbortController()
    const running = fetch(`${gateway.url}/p`, {
      method: 'POST',
      headers: { 'Idempotency-Key': 'k' },
      signal: client.signal,
    }).catch(() => 'gone')
    await until(() => upstream.seen.length === 1)
    client.abort()
    expect(await running).toBe('gone')
    gateway.child.kill('SIGTERM')
    await until(() => refusesConnections(gateway.url))
    finish()
    expect((await gateway.ended).code).toBe(0)
    const { stdout } = await shop.end(onceward(['ls', '--store', store, '--json'])).ended
    expect(JSON.parse(stdout)).toMatchObject([{ state: 'done', outcome: { status: 200 } }])
  })

  it('cut what does not finish in time, and leave it held', async () => {
    let reached = 0
    const upstream = await startRaw(() => void reached++)
    shop.after(() => upstream.close())
    const store = `sqlite:${join(await shop.folder(), 'cut.sqlite')}`
    const gateway = await shop.gateway([
      '--upstream',
      upstream.url,
      '--scope',
      'public',
      '--store',
      store,
      '--shutdown-ms',
      '100',
    ])
    const running = post(gateway.url, 'k', '{}').catch(() => 'cut')
    await until(() => reached === 1)
    gateway.child.kill('SIGINT')
    await running
    expect((await gateway.ended).code).toBe(1)
    const { stdout } = await shop.end(onceward(['ls', '--store', store, '--json'])).ended
    expect(JSON.parse(stdout)[0].state).toBe('held')
  })

  it('end at once on the second signal', async () => {
    let reached = 0
    const upstream = await startRaw(() => void reached++)
    shop.after(() => upstream.close())
    const store = `sqlite:${join(await shop.folder(), 'twice.sqlite')}`
    const gateway = await shop.gateway(['--upstream', upstream.url, '--scope', 'public', '--store', store])
    void post(gateway.url, 'k', '{}').catch(() => 'cut')
    await until(() => reached === 1)
    gateway.child.kill('SIGTERM')
    await until(() => refusesConnections(gateway.url))
    gateway.child.kill('SIGTERM')
    expect((await gateway.ended).code).toBe(1)
  })

  it('log no key, only the digest of the operation', async () => {
    const upstream = await startUpstream((_, response) => void response.end('ok'))
    shop.after(() => upstream.close())
    const store = `sqlite:${join(await shop.folder(), 'log.sqlite')}`
    const gateway = await shop.gateway([
      '--upstream',
      upstream.url,
      '--scope',
      'public',
      '--store',
      store,
      '--log-level',
      'debug',
    ])
    await post(gateway.url, 'a-secret-key', '{}')
    await post(gateway.url, 'a-secret-key', '{"other":1}')
    gateway.child.kill('SIGTERM')
    const { stderr } = await gateway.ended
    expect(stderr).not.toContain('a-secret-key')
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(
      lines.filter((line) => line.msg === 'keyed request').map((line) => [line.from, line.status, line.code]),
    ).toEqual([
      ['executed', 200, undefined],
      ['refused', 422, 'key-reused'],
    ])
    expect(lines.find((line) => line.from === 'executed').operation).toMatch(/^[\w-]{43}$/)
  })

  it('tell a client that is still sending why its body is refused, instead of resetting its connection', async () => {
    const upstream = await startUpstream((_, response) => void response.end())
    shop.after(() => upstream.close())
    const gateway = await shop.gateway([
      '--upstream',
      upstream.url,
      '--scope',
      'public',
      '--store',
      'memory:',
    ])
    const chunk = Buffer.alloc(1_000_000)
    for (let round = 0; round < 3; round++) {
      const request = httpRequest(`${gateway.url}/p`, {
        method: 'POST',
        headers: { 'Idempotency-Key': 'k', 'Content-Length': 20 * chunk.length },
      })
      const status = new Promise<number | undefined>((resolve, reject) => {
        request.once('response', (response) => resolve(response.resume().statusCode))
        request.once('error', reject)
      })
      const feed = (left: number): void => {
        if (left > 0) request.write(chunk, () => feed(left - 1))
        else request.end()
      }
      feed(20)
      expect(await status).toBe(413)
      request.destroy()
    }
    expect(upstream.seen).toEqual([])
  })
})
