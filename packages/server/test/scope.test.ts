import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../src/config/config-schema.ts'
import type { Gateway } from '../src/gateway/start-gateway.ts'
import { trustedPeers } from '../src/gateway/trusted-peers.ts'
import { gatewayBefore, startUpstream, type Upstream } from './support/servers.ts'

describe('the scope of a key', () => {
  let upstream: Upstream
  let gateway: Gateway
  let folder: string
  let count: number
  beforeEach(async () => {
    count = 0
    folder = await mkdtemp(join(tmpdir(), 'onceward-scope-'))
    upstream = await startUpstream((_, response) => void response.end(String(++count)))
  })
  afterEach(async () => {
    await gateway?.stop()
    await upstream.close()
    await rm(folder, { recursive: true, force: true })
  })
  const start = async (config: Config): Promise<void> => {
    gateway = await gatewayBefore(upstream.url, config)
  }
  const send = async (headers: Record<string, string>, url = gateway.url) => {
    const answer = await fetch(`${url}/p`, {
      method: 'POST',
      headers: { 'Idempotency-Key': 'k', ...headers },
      body: 'b',
    })
    const body = await answer.text()
    return answer.status === 200 ? body : [answer.status, JSON.parse(body).code]
  }
  const REFUSED = [401, 'scope-missing']

  describe('from a header', () => {
    beforeEach(() => start({ scope: 'header:X-Tenant', host: '0.0.0.0' }))

    it('keeps tenants apart', async () => {
      expect(await send({ 'X-Tenant': 'a' })).toBe('1')
      expect(await send({ 'X-Tenant': 'b' })).toBe('2')
      expect(await send({ 'X-Tenant': 'a' })).toBe('1')
    })

    it('takes __proto__, constructor and friends for ordinary texts', async () => {
      for (const [index, odd] of [
        '__proto__',
        'constructor',
        '*',
        '{tag}',
        "' OR 1=1",
        '%00',
        'a:b',
        'a',
      ].entries()) {
        expect(await send({ 'X-Tenant': odd })).toBe(String(index + 1))
        expect(await send({ 'X-Tenant': odd })).toBe(String(index + 1))
      }
      expect(await send({ 'X-Tenant': 'a', 'Idempotency-Key': 'b:c' })).toBe('9')
      expect(await send({ 'X-Tenant': 'a:b', 'Idempotency-Key': 'c' })).toBe('10')
    })

    it('is refused where the field is missing, and never anonymous', async () => {
      expect(await send({})).toEqual(REFUSED)
      expect(count).toBe(0)
    })

    it('is not believed from a peer that is not trusted, nor passed on from it', async () => {
      const address = Object.values(networkInterfaces())
        .flat()
        .find((one) => one?.family === 'IPv4' && !one.internal)?.address
      if (address === undefined) return
      const outside = gateway.url.replace('0.0.0.0', address)
      expect(await send({ 'X-Tenant': 'a' }, outside)).toEqual(REFUSED)
      await fetch(`${outside}/x`, {
        headers: { 'X-Tenant': 'a', X_Tenant: 'a', 'X-Forwarded-For': '9.9.9.9', Forwarded: 'for=9.9.9.9' },
      })
      const seen = upstream.seen.at(-1)
      expect(seen?.headers['x-forwarded-for']).toBe(address)
      expect(Object.keys(seen?.headers ?? {}).filter((name) => /tenant|^forwarded$/.test(name))).toEqual([])
    })
  })

  describe('from a token', () => {
    const SECRET = 'a secret of sixty-four bytes or more, long enough for every HMAC there is'
    const token = (
      claims: Record<string, unknown>,
      expires: string | null = '1m',
      secret = SECRET,
      alg = 'HS256',
    ) => {
      const jwt = new SignJWT(claims).setProtectedHeader({ alg })
      return (expires === null ? jwt : jwt.setExpirationTime(expires)).sign(new TextEncoder().encode(secret))
    }
    const bearer = async (value: string | Promise<string>) => ({ Authorization: `Bearer ${await value}` })

    it('keeps subjects apart, whatever token they come with', async () => {
      await start({ scope: 'jwt:sub', jwtSecret: SECRET })
      expect(await send(await bearer(token({ sub: 'a' })))).toBe('1')
      expect(await send(await bearer(token({ sub: 'b' })))).toBe('2')
      expect(await send(await bearer(token({ sub: 'a', jti: 'another token' })))).toBe('1')
      expect(upstream.seen[0]?.headers.authorization).toMatch(/^Bearer /)
    })

    it('is refused for a token that is not valid now, even where an answer is stored', async () => {
      await start({ scope: 'jwt:sub', jwtSecret: SECRET, jwtIssuer: 'us', jwtAudience: 'them' })
      const good = { sub: 'a', iss: 'us', aud: 'them' }
      expect(await send(await bearer(token(good)))).toBe('1')
      const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ ...good, exp: 4e9 })).toString('base64url')}.`
      for (const bad of [
        token(good, '-1s'),
        token(good, null),
        token(good, '1m', 'another secret of thirty-two bytes'),
        token(good, '1m', SECRET, 'HS512'),
        token({ ...good, iss: 'others' }),
        token({ ...good, aud: 'others' }),
        token({ iss: 'us', aud: 'them' }),
        token({ ...good, sub: '' }),
        token({ ...good, sub: { a: 1 } }),
        none,
        'no.token.at-all',
      ]) {
        expect(await send(await bearer(bad))).toEqual(REFUSED)
      }
      expect(await send({})).toEqual(REFUSED)
      expect(await send({ Authorization: 'Basic YTpi' })).toEqual(REFUSED)
      expect(count).toBe(1)
    })

    it('is verified by a public key or a key set from files', async () => {
      const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
      const spki = join(folder, 'key.pem')
      const jwks = join(folder, 'keys.json')
      await writeFile(spki, await exportSPKI(publicKey))
      await writeFile(
        jwks,
        JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }),
      )
      const signed = () =>
        new SignJWT({ org: 7 })
          .setProtectedHeader({ alg: 'ES256', kid: 'one' })
          .setExpirationTime('1m')
          .sign(privateKey)
      for (const [index, key] of [{ jwtPublicKeyFile: spki }, { jwtJwksFile: jwks }].entries()) {
        await start({ scope: 'jwt:org', jwtAlgorithm: 'ES256', ...key })
        expect(await send(await bearer(signed()))).toBe(String(index + 1))
        // The public key as an HMAC secret: the classic confusion.
        expect(await send(await bearer(token({ org: 7 }, '1m', await exportSPKI(publicKey))))).toEqual(
          REFUSED,
        )
        await gateway.stop()
      }
    })

    it('refuses to start with a secret that can be guessed', async () => {
      await expect(start({ scope: 'jwt:sub', jwtSecret: 'short' })).rejects.toThrow(/shorter than 32 bytes/)
    })
  })

  it('comes from the client certificate, and is refused without one', async () => {
    const openssl = promisify(execFile)
    const run = (command: string) => openssl('openssl', command.split(' '), { cwd: folder })
    await run(
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 1',
    )
    for (const name of ['server', 'alice', 'bob']) {
      await run(
        `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`,
      )
      await run(`x509 -req -in ${name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out ${name}.pem -days 1`)
    }
    const at = (name: string) => join(folder, name)
    await start({ scope: 'cert', tlsCert: at('server.pem'), tlsKey: at('server.key'), tlsCa: at('ca.pem') })
    const { readFile } = await import('node:fs/promises')
    const ask = async (name?: string) => {
      const certificate =
        name === undefined
          ? {}
          : { cert: await readFile(at(`${name}.pem`)), key: await readFile(at(`${name}.key`)) }
      return new Promise((resolve, reject) => {
        const request = httpsRequest(
          `${gateway.url}/p`,
          {
            method: 'POST',
            rejectUnauthorized: false,
            agent: false,
            headers: { 'Idempotency-Key': 'k' },
            ...certificate,
          },
          (answer) => {
            void text(answer).then((body) => resolve(answer.statusCode === 200 ? body : answer.statusCode))
          },
        )
        request.once('error', reject)
        request.end()
      })
    }
    expect(await ask('alice')).toBe('1')
    expect(await ask('bob')).toBe('2')
    expect(await ask('alice')).toBe('1')
    expect(await ask()).toBe(401)
    expect(upstream.seen[0]?.headers['x-forwarded-proto']).toBe('https')
  })
})

describe('trusted peers', () => {
  it('are loopback, and what is named, by address or network, in either family', () => {
    const trusted = trustedPeers(['10.0.0.0/8', '192.168.1.7', '2001:db8::/32'])
    for (const yes of [
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '::ffff:127.0.0.1',
      '10.1.2.3',
      '::ffff:10.1.2.3',
      '192.168.1.7',
      '2001:db8::5',
    ])
      expect([yes, trusted(yes)]).toEqual([yes, true])
    for (const no of ['11.0.0.1', '192.168.1.8', '::2', '2001:db9::1', undefined, 'nonsense'])
      expect([no, trusted(no)]).toEqual([no, false])
  })
})
