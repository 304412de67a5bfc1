import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gatewayOptions } from './gateway-options.ts'
import { configJsonSchema } from './json-schema.ts'
import { loadConfig } from './load-config.ts'
import { nearest } from './nearest.ts'
import { printedConfig } from './print-config.ts'
import { settings } from './settings.ts'

describe('configuration', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onceward-config-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const file = (config: unknown) => writeFile(join(folder, 'onceward.config.json'), JSON.stringify(config))
  const load = (flags: Record<string, unknown> = {}, environment: Record<string, string> = {}) =>
    loadConfig({ flags, environment, folder })

  it('takes flags before the environment, the environment before the file, the file before defaults', async () => {
    await file({ port: 1, host: 'file', leaseMs: 1000, upstream: 'http://file' })
    const loaded = await load({ port: '3' }, { ONCEWARD_PORT: '2', ONCEWARD_HOST: 'environment' })
    expect(loaded.config).toMatchObject({
      port: 3,
      host: 'environment',
      leaseMs: 1000,
      upstream: 'http://file',
    })
    const printed = printedConfig(loaded)
    expect(printed['port']).toEqual({ value: 3, source: '--port' })
    expect(printed['host']).toEqual({ value: 'environment', source: 'ONCEWARD_HOST' })
    expect(printed['leaseMs']).toEqual({ value: 1000, source: 'onceward.config.json' })
    expect(printed['waitMs']).toEqual({ value: 30_000, source: 'default' })
  })

  it('reads numbers, lists and yes or no from the environment', async () => {
    const loaded = await load(
      {},
      {
        ONCEWARD_REQUIRE_KEY: 'yes',
        ONCEWARD_TRUST_PROXY: '10.0.0.0/8, 192.168.0.1',
        ONCEWARD_WAIT_MS: '0',
        ONCEWARD_HOST: '',
      },
    )
    expect(loaded.config).toEqual({ requireKey: true, trustProxy: ['10.0.0.0/8', '192.168.0.1'], waitMs: 0 })
  })

  it('names the variable that is wrong', async () => {
    await expect(load({}, { ONCEWARD_PORT: 'tcp://10.0.0.1:80' })).rejects.toThrow(
      /^ONCEWARD_PORT: give a whole number, not "tcp:\/\/10\.0\.0\.1:80"$/,
    )
  })

  it('prints no secret', async () => {
    await file({
      store: 'redis://user:hunter2@host',
      routes: [{ path: '/p', reconcile: 'http://u:hunter2@host/x' }],
    })
    const text = JSON.stringify(
      printedConfig(await load({}, { ONCEWARD_JWT_SECRET: 'hunter2-hunter2-hunter2-hunter2-x' })),
    )
    expect(text).not.toContain('hunter2')
    expect(text.match(/\[redacted\]/g)).toHaveLength(3)
  })

  it('gives routes what they do not say themselves', async () => {
    await file({
      upstream: 'http://a:1',
      scope: 'header:X-Tenant',
      requireKey: true,
      leaseMs: 5000,
      routes: [
        { path: '/a', key: 'ignored' },
        { path: '/b', method: 'PUT', leaseMs: 100, scope: 'public' },
      ],
    })
    const { routes, defaults } = gatewayOptions(await load())
    expect(defaults).toMatchObject({
      key: 'required',
      leaseMs: 5000,
      scope: { kind: 'header', name: 'x-tenant' },
    })
    expect(routes[0]).toMatchObject({
      name: '/a',
      methods: ['POST', 'PATCH', 'PUT', 'DELETE'],
      policy: { key: 'ignored', leaseMs: 5000 },
    })
    expect(routes[1]).toMatchObject({
      methods: ['PUT'],
      policy: { key: 'required', leaseMs: 100, scope: { kind: 'public' } },
    })
  })

  it('names the place of a token that it does not know', async () => {
    const from = (tokenFrom: object) => file({ routes: [{ path: '/orders', key: 'issued', tokenFrom }] })
    await from({ cooky: 'c' })
    await expect(load()).rejects.toThrow(
      'routes[0].tokenFrom.cooky is not a known field; did you mean cookie?',
    )
    await from({ cookie: 'a b' })
    await expect(load()).rejects.toThrow('routes[0].tokenFrom.cookie: give a cookie name')
  })

  it('is described to editors by the JSON Schema beside the package (UPDATE_DOCS=1 writes it)', async () => {
    const path = fileURLToPath(new URL('../../onceward.config.schema.json', import.meta.url))
    if (process.env['UPDATE_DOCS'] === '1') await writeFile(path, JSON.stringify(configJsonSchema(), null, 2))
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(configJsonSchema())
  })

  it('has a flag and a description for every field, and no flag for a secret', () => {
    const all = settings()
    expect(all.filter((setting) => setting.about === '')).toEqual([])
    expect(all.filter((setting) => setting.flag === undefined).map((setting) => setting.field)).toEqual([
      'jwtSecret',
    ])
    expect(all.find((setting) => setting.field === 'maxBodyBytes')).toMatchObject({
      flag: '--max-body-bytes',
      variable: 'ONCEWARD_MAX_BODY_BYTES',
      kind: 'number',
    })
  })
})

describe('the nearest name', () => {
  it.each([
    ['upstraem', 'upstream'],
    ['UPSTREAM', 'upstream'],
    ['prt', 'port'],
  ])('of %s is %s', (wanted, meant) => {
    expect(nearest(wanted, ['port', 'upstream', 'host'])).toBe(meant)
  })
  it('is none when nothing is near', () => {
    expect(nearest('bananas', ['port', 'upstream'])).toBeUndefined()
  })
})
