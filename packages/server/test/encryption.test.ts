import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog } from '../src/gateway/gateway-log.ts'
import { type Gateway, startGateway } from '../src/gateway/start-gateway.ts'
import { readKeyRing } from '../src/store/encryption-keys.ts'
import { command } from './support/in-process.ts'
import { optionsOf, startUpstream, type Upstream } from './support/servers.ts'

const key = (): string => randomBytes(32).toString('base64')

describe('a gateway with encryption keys', () => {
  let folder: string
  let file: string
  let upstream: Upstream
  const gateways: Gateway[] = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onceward-keys-'))
    file = join(folder, 'keys')
    upstream = await startUpstream((_, response) => void response.writeHead(201).end('the canary sings'))
  })
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.stop()
    await upstream.close()
    await rm(folder, { recursive: true, force: true })
  })

  const store = () => `sqlite:${join(folder, 'a.sqlite')}`
  const keys = async (...lines: string[]) => {
    await writeFile(file, `${lines.join('\n')}\n`)
    await chmod(file, 0o600)
  }
  const gateway = async (encryption?: 'on' | 'accept-plain' | 'write-plain') => {
    const started = await startGateway(
      optionsOf({
        upstream: upstream.url,
        store: store(),
        ...(encryption === undefined ? {} : { encryptionKeyFile: file, encryption }),
      }),
      createLog('silent'),
    )
    gateways.push(started)
    return started
  }
  const post = async ({ url }: Gateway, idempotencyKey: string) => {
    const answer = await fetch(url, { method: 'POST', headers: { 'Idempotency-Key': idempotencyKey } })
    return `${answer.status} ${await answer.text()}`
  }
  const stored = async () =>
    Buffer.concat(
      await Promise.all(
        ['', '-wal'].map((end) => readFile(join(folder, `a.sqlite${end}`)).catch(() => Buffer.alloc(0))),
      ),
    ).toString('latin1')

  it('stores no byte of an answer that can be read, replays it, and rotates its keys', async () => {
    const [old, fresh] = [`old:${key()}`, `new:${key()}`]
    await keys('# the ring', '', old)
    const first = await gateway('on')
    expect(await post(first, 'a')).toBe('201 the canary sings')
    expect(await stored()).not.toContain('canary')
    await keys(fresh, old)
    const second = await gateway('on')
    expect(await post(second, 'a')).toBe('201 the canary sings')
    expect(await post(second, 'b')).toBe('201 the canary sings')
    expect(upstream.seen).toHaveLength(2)
    await keys(fresh)
    const third = await gateway('on')
    expect(await post(third, 'b')).toBe('201 the canary sings')
    // Without its key neither the input can be compared nor the answer told: it is refused, and never run again.
    expect(await post(third, 'a')).toMatch(/^422 .*key-reused/)
    expect(upstream.seen).toHaveLength(2)
  })

  it('can be introduced step by step', async () => {
    await keys(`k1:${key()}`)
    const plain = await gateway()
    expect(await post(plain, 'a')).toBe('201 the canary sings')
    const [writing, accepting] = [await gateway('write-plain'), await gateway('accept-plain')]
    expect(await post(writing, 'b')).toBe('201 the canary sings')
    expect(await post(plain, 'b')).toBe('201 the canary sings')
    for (const known of ['a', 'b']) expect(await post(accepting, known)).toBe('201 the canary sings')
    expect(await post(accepting, 'c')).toBe('201 the canary sings')
    expect(await post(writing, 'c')).toBe('201 the canary sings')
    expect(upstream.seen).toHaveLength(3)
  })

  it('lets commands decide held operations with the keys, so that the decision is replayed', async () => {
    await keys(`k1:${key()}`)
    const service = await startUpstream((_, response) => void response.writeHead(500).end('no idea'))
    const started = await startGateway(
      optionsOf({ upstream: service.url, store: store(), encryptionKeyFile: file, encryption: 'on' }),
      createLog('silent'),
    )
    gateways.push(started)
    expect(await post(started, 'a')).toBe('500 no idea')
    await service.close()
    const flags = ['--store', store(), '--encryption-key-file', file]
    const { stdout } = await command(['ls', '--state', 'held', '--json', ...flags])
    const [{ id = '' } = {}] = JSON.parse(stdout) as { id?: string }[]
    const body = join(folder, 'body')
    await writeFile(body, 'it happened')
    const how = ['--as', 'done', '--status', '201', '--body-file', body, '--reason', 'asked']
    expect(await command(['resolve', id, ...how, ...flags])).toMatchObject({ code: 0, stderr: '' })
    expect(await post(started, 'a')).toBe('201 it happened')
    expect(await stored()).not.toContain('it happened')
    expect(JSON.parse((await command(['doctor', '--json', ...flags])).stdout)).toContainEqual(
      expect.objectContaining({ check: 'encryption', level: 'ok' }),
    )
  })

  it.each([
    ['without the keys', []],
    ['with another key', ['--encryption-key-file', 'other']],
  ])('refuses to decide a sealed operation %s: duplicates could not read it', async (_, flags) => {
    await keys(`k1:${key()}`)
    const service = await startUpstream((_, response) => void response.writeHead(500).end('no idea'))
    const started = await startGateway(
      optionsOf({ upstream: service.url, store: store(), encryptionKeyFile: file, encryption: 'on' }),
      createLog('silent'),
    )
    gateways.push(started)
    expect(await post(started, 'a')).toBe('500 no idea')
    await service.close()
    const others = flags.map((flag) => (flag === 'other' ? join(folder, 'other') : flag))
    await writeFile(join(folder, 'other'), `k2:${key()}\n`, { mode: 0o600 })
    const { stdout } = await command(['ls', '--state', 'held', '--json', '--store', store(), ...others])
    const [{ id = '' } = {}] = JSON.parse(stdout) as { id?: string }[]
    for (const how of [
      ['--as', 'done', '--status', '201'],
      ['--as', 'failed'],
    ]) {
      const args = ['resolve', id, ...how, '--reason', 'asked', '--store', store(), ...others]
      expect(await command(args)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/sealed.*--encryption-key-file/),
      })
    }
    // That nothing happened is told without a word that needs sealing.
    const release = ['resolve', id, '--as', 'release', '--reason', 'asked', '--store', store(), ...others]
    expect(await command(release)).toMatchObject({ code: 0 })
  })

  it.each<[string, string, number, RegExp]>([
    ['that others can read', `k:${key()}`, 0o644, /others can read or change it \(mode 644\); run chmod 600/],
    ['that the group can change', `k:${key()}`, 0o660, /mode 660/],
    ['without a key', '# nothing', 0o600, /holds no key; make one with/],
    ['with a short key', 'k:Y2FuYXJ5', 0o600, /line 1 is not id:key with 32 bytes as base64/],
    ['with a bare key', key(), 0o600, /line 1 is not id:key/],
    ['with an id twice', `k:${key()}\nk:${key()}`, 0o600, /line 2 has the id k again/],
  ])('refuses a file of keys %s, and shows none', async (_, text, mode, message) => {
    await writeFile(file, text)
    await chmod(file, mode)
    const failed = await readKeyRing(file).catch((error: unknown) => error)
    expect(failed).toMatchObject({ exitCode: 2, message: expect.stringMatching(message) })
    for (const secret of text.matchAll(/[A-Za-z0-9+/]{8,}/g)) expect(String(failed)).not.toContain(secret[0])
  })

  it('takes a file that the owner and its group may read', async () => {
    await keys(`k1:${key()}`)
    await chmod(file, 0o440)
    expect(await readKeyRing(file)).toHaveLength(1)
  })
})
