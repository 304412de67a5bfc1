import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { describeWith, sharedRedis } from '../../../test-servers/index.mjs'
import { command } from './support/in-process.ts'
import { type GatewayProcess, SLOW_MS, workshop } from './support/processes.ts'
import { type Seen, startRaw, startUpstream, until } from './support/servers.ts'
import { SERVER_STORES } from './support/store-servers.ts'

/** Every kind of store on a server, and a SQL store with a cache before it. */
const SETUPS = [
  ...SERVER_STORES.map((store) => ({ ...store, name: store.kind as string, cached: false })),
  ...SERVER_STORES.filter(({ kind }) => kind === 'postgres').map((store) => ({
    ...store,
    name: 'postgres, a cache before it',
    cached: true,
  })),
]

const post = (url: string, key: string, path = '/payments', body = '{"amount":1}') =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'Idempotency-Key': key, 'Content-Type': 'application/json' },
    body,
  })

for (const { name, server, place, cached } of SETUPS) {
  await describeWith(cached ? [server, 'redis'] : server, `three gateway processes on ${name}`, () => {
    const shop = workshop()
    afterEach(() => shop.clear())

    /** The flags of a fresh, migrated store. */
    const freshStore = async (): Promise<readonly string[]> => {
      const { url, drop } = await place()
      shop.after(drop)
      const migrated = await command(['migrate', '--store', url])
      expect(migrated).toMatchObject({ code: 0, stderr: '' })
      return ['--store', url, ...(cached ? ['--cache', (await sharedRedis()).url] : [])]
    }
    const three = (args: readonly string[], ofTheFirst: readonly string[] = []): Promise<GatewayProcess[]> =>
      Promise.all([ofTheFirst, [], []].map((own) => shop.gateway(['--scope', 'public', ...args, ...own])))
    /** The one that is killed: its claims lapse soon. The others may stand still for a while without losing theirs. */
    const SOON = ['--lease-ms', '500']

    it(
      'let 90 parallel requests with one key through once, and wake those who wait',
      async () => {
        let charged = 0
        const upstream = await startUpstream(async (_, response) => {
          charged++
          await new Promise((resolve) => setTimeout(resolve, 700))
          response
            .writeHead(201, { 'Content-Type': 'application/json' })
            .end(JSON.stringify({ id: charged, at: Math.random() }))
        })
        shop.after(() => upstream.close())
        const gateways = await three(['--upstream', upstream.url, ...(await freshStore())])
        const answers = await Promise.all(
          Array.from({ length: 90 }, async (_, n) => {
            const answer = await post(gateways[n % 3]?.url ?? '', 'one-key')
            const bytes = Buffer.from(await answer.arrayBuffer())
            return {
              told: `${answer.status} ${createHash('sha256').update(bytes).digest('hex')}`,
              replayed: answer.headers.has('idempotent-replayed'),
            }
          }),
        )
        expect(charged).toBe(1)
        expect(new Set(answers.map(({ told }) => told)).size).toBe(1)
        expect(answers[0]?.told).toMatch(/^201 /)
        expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
      },
      SLOW_MS,
    )

    it(
      'hold what a killed one was doing, and go on when it is resolved from the command line',
      async () => {
        let runs = 0
        const upstream = await startRaw(() => void runs++)
        shop.after(() => upstream.close())
        const store = await freshStore()
        const [first, second, third] = await three(['--upstream', upstream.url, ...store], SOON)
        const cut = post(first?.url ?? '', 'k').catch(() => 'cut')
        await until(() => runs === 1)
        first?.child.kill('SIGKILL')
        expect(await cut).toBe('cut')
        for (const other of [second, third]) {
          const unknown = await post(other?.url ?? '', 'k')
          expect([unknown.status, await unknown.json()]).toMatchObject([
            409,
            { code: 'outcome-unknown', effect: 'unknown', retryable: false },
          ])
        }
        const storeUrl = store.slice(0, 2)
        const listed = await command(['ls', '--state', 'held', '--json', ...storeUrl])
        const [{ id = '' } = {}] = JSON.parse(listed.stdout) as { readonly id?: string }[]
        const body = join(await shop.folder(), 'body.json')
        await writeFile(body, '{"id":"from the operator"}')
        const decision = [
          '--as',
          'done',
          '--status',
          '201',
          '--body-file',
          body,
          '--reason',
          'seen in the ledger',
        ]
        expect(await command(['resolve', id, ...decision, ...storeUrl])).toMatchObject({
          code: 0,
          stderr: '',
        })
        for (const other of [second, third, second]) {
          const replay = await post(other?.url ?? '', 'k')
          expect([replay.status, await replay.text()]).toEqual([201, '{"id":"from the operator"}'])
          expect(replay.headers.get('idempotent-replayed')).toBe('true')
        }
        expect(runs).toBe(1)
        const shown = await command(['show', id, '--json', ...storeUrl])
        expect(JSON.parse(shown.stdout)).toMatchObject({
          state: 'done',
          audit: [{ as: 'done', actor: 'tester', reason: 'seen in the ledger' }],
        })
        expect((await command(['resolve', id, ...decision, ...storeUrl])).code).toBe(4)
      },
      SLOW_MS,
    )

    it(
      'rerun or reconcile what a killed one was doing, where its route says so, and each but once',
      async () => {
        const began: Seen['url'][] = []
        let asked = 0
        const upstream = await startRaw((request, response) => {
          if (request.method === 'GET') {
            asked++
            return response.writeHead(200, { 'Onceward-Status': '201' }).end('known to the service')
          }
          began.push(request.url ?? '')
          // The first attempt of each never answers.
          if (began.filter((url) => url === request.url).length > 1) response.end('the second attempt')
          return undefined
        })
        shop.after(() => upstream.close())
        const config = join(await shop.folder(), 'config.json')
        await writeFile(
          config,
          JSON.stringify({
            upstream: upstream.url,
            routes: [
              { path: '/emails', onCrash: 'rerun' },
              { path: '/payments', reconcile: `${upstream.url}/status` },
            ],
          }),
        )
        const [first, second, third] = await three(['--config', config, ...(await freshStore())], SOON)
        const cut = ['/emails', '/payments'].map((path) =>
          post(first?.url ?? '', 'k', path).catch(() => 'cut'),
        )
        await until(() => began.length === 2)
        first?.child.kill('SIGKILL')
        await Promise.all(cut)
        const text = async (other: GatewayProcess | undefined, path: string) =>
          (await post(other?.url ?? '', 'k', path)).text()
        expect(await Promise.all([text(second, '/emails'), text(third, '/emails')])).toEqual([
          'the second attempt',
          'the second attempt',
        ])
        // While one asks the service, the other is told that nobody knows yet.
        await until(async () => {
          const told = await Promise.all([text(second, '/payments'), text(third, '/payments')])
          return told.every((answer) => answer === 'known to the service')
        })
        expect([...began].sort()).toEqual(['/emails', '/emails', '/payments'])
        expect(asked).toBe(1)
      },
      SLOW_MS,
    )

    it(
      'end with 0 on SIGTERM, after what runs, and leave no connection behind',
      async () => {
        const upstream = await startUpstream(async (_, response) => {
          await new Promise((resolve) => setTimeout(resolve, 300))
          response.end('ok')
        })
        shop.after(() => upstream.close())
        const gateways = await three(['--upstream', upstream.url, ...(await freshStore())])
        const running = gateways.map(async ({ url }, n) => (await post(url, `k${n}`)).status)
        await until(() => upstream.seen.length === 3)
        for (const { child } of gateways) child.kill('SIGTERM')
        expect(await Promise.all(running)).toEqual([200, 200, 200])
        const ends = await Promise.all(gateways.map(({ ended }) => ended))
        expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
        for (const { stderr } of ends) expect(stderr).not.toContain('did not close')
      },
      SLOW_MS,
    )
  })
}
