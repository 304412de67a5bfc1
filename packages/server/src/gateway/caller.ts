import { createSecretKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { createLocalJWKSet, importSPKI, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { JwtOptions, ScopeRule } from '../config/gateway-options.ts'
import { usageError } from '../exit-codes.ts'

/** Tells who sent a request; nothing when that cannot be told, and then the request gets no key. */
export type CallerOf = (
  rule: ScopeRule,
  request: IncomingMessage,
  trusted: boolean,
) => Promise<string | undefined> | string | undefined

/** Verifies a token and answers its claims; nothing when it is not valid now. */
type Verify = (token: string) => Promise<JWTPayload | undefined>

/**
 * Makes the one place that decides who a caller is.
 *
 * A header is believed from trusted peers only. A token must be signed by the configured key with the one configured
 * algorithm, carry `exp` and be in force now. A certificate counts by its subject, so that renewing it changes nothing.
 *
 * @throws `CommandError` (usage) when the key of the tokens cannot be read.
 */
export async function callers(jwt: JwtOptions | undefined): Promise<CallerOf> {
  const verify = jwt === undefined ? undefined : await verifier(jwt)
  return (rule, request, trusted) => {
    switch (rule.kind) {
      case 'public':
        return 'public'
      case 'header':
        return trusted ? single(request, rule.name) : undefined
      case 'cert':
        return subjectOf(request)
      case 'jwt':
        return verify === undefined ? undefined : claimOf(verify, request, rule.claim)
    }
  }
}

/**
 * Says, for the log, why a request has no caller: which field, claim or certificate is absent or not believed. Values
 * are not told: they may be credentials.
 */
export function whyNoCaller(rule: ScopeRule, request: IncomingMessage, trusted: boolean): string {
  const sent = (name: string): number =>
    request.rawHeaders.filter((field, index) => index % 2 === 0 && field.toLowerCase() === name).length
  switch (rule.kind) {
    case 'header': {
      const count = sent(rule.name)
      if (count > 0 && !trusted) {
        const peer = request.socket.remoteAddress ?? 'unknown'
        return `the field ${rule.name} was dropped, because the peer ${peer} is not trusted; if it is your proxy, name it in trustProxy`
      }
      if (count === 0) return `the field ${rule.name} is absent`
      return `the field ${rule.name} is ${count > 1 ? 'there more than once' : 'empty'}`
    }
    case 'jwt':
      return sent('authorization') === 1
        ? `the bearer token is not valid, or carries no claim ${rule.claim} that is text or a number`
        : `there is no bearer token to read the claim ${rule.claim} from`
    case 'cert':
      return 'there is no client certificate that --tls-ca vouches for'
    case 'public':
      return 'the scope is empty'
  }
}

async function claimOf(verify: Verify, request: IncomingMessage, claim: string): Promise<string | undefined> {
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(single(request, 'authorization') ?? '')?.[1]
  if (token === undefined) return undefined
  const payload = await verify(token)
  if (payload === undefined || !Object.hasOwn(payload, claim)) return undefined
  const value = payload[claim]
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined
}

/** The value of a field that was sent exactly once. Two tenants in one request are none. */
function single(request: IncomingMessage, name: string): string | undefined {
  let found: string | undefined
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    if (request.rawHeaders[index]?.toLowerCase() !== name) continue
    if (found !== undefined) return undefined
    found = request.rawHeaders[index + 1]
  }
  return found === undefined || found === '' ? undefined : found
}

function subjectOf(request: IncomingMessage): string | undefined {
  const { socket } = request
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const subject = socket.getPeerX509Certificate()?.subject
  return subject === undefined || subject === '' ? undefined : subject.replaceAll('\n', ', ')
}

async function verifier(jwt: JwtOptions): Promise<Verify> {
  const options: JWTVerifyOptions = {
    algorithms: [jwt.algorithm],
    requiredClaims: ['exp'],
    ...(jwt.issuer === undefined ? {} : { issuer: jwt.issuer }),
    ...(jwt.audience === undefined ? {} : { audience: jwt.audience }),
  }
  const attempt = await verification(jwt, options)
  return async (token) => {
    try {
      return await attempt(token)
    } catch {
      return undefined
    }
  }
}

async function verification(
  jwt: JwtOptions,
  options: JWTVerifyOptions,
): Promise<(token: string) => Promise<JWTPayload>> {
  const { key } = jwt
  if (key.kind === 'secret') return withSecret(key.secret, 'ONCEWARD_JWT_SECRET', options)
  const text = await read(key.file)
  if (key.kind === 'secret-file') return withSecret(text.trim(), key.file, options)
  try {
    if (key.kind === 'jwks-file') {
      const find = createLocalJWKSet(JSON.parse(text))
      return async (token) => (await jwtVerify(token, find, options)).payload
    }
    const publicKey = await importSPKI(text, jwt.algorithm)
    return async (token) => (await jwtVerify(token, publicKey, options)).payload
  } catch (error) {
    const what =
      key.kind === 'jwks-file' ? 'a JWKS file' : `a PEM file with a public key for ${jwt.algorithm}`
    throw usageError(`${key.file}: is not ${what}: ${(error as Error).message}`)
  }
}

function withSecret(
  secret: string,
  origin: string,
  options: JWTVerifyOptions,
): (token: string) => Promise<JWTPayload> {
  // RFC 7518 section 3.2: the key of HS256 has at least 256 bits.
  if (Buffer.byteLength(secret) < 32)
    throw usageError(`${origin}: the secret is shorter than 32 bytes; use a longer one`)
  const key: KeyObject = createSecretKey(Buffer.from(secret))
  return async (token) => (await jwtVerify(token, key, options)).payload
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw usageError(
      `${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'}); check the path`,
    )
  }
}
