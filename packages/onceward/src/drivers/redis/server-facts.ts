import type { RedisConnection } from './redis-connection.ts'
import { failure } from './redis-errors.ts'
import type { RedisReply } from './redis-link.ts'

/** What a server tells of itself (`INFO`), by name. */
export type ServerInfo = ReadonlyMap<string, string>

/** The oldest server that knows every command of the scripts. */
const OLDEST = [6, 2] as const

/** Reads `INFO` of every node that accepts writes; nothing where this user may not ask. */
export async function serverInfos(connection: RedisConnection): Promise<readonly ServerInfo[] | undefined> {
  const replies = await permitted(() => connection.commandToMasters(['INFO']))
  return replies?.map((reply) => {
    const lines = String(reply).split(/\r?\n/)
    return new Map(lines.filter((line) => line.includes(':')).map((line) => splitOnce(line, ':')))
  })
}

/** Reads settings of every node that accepts writes; nothing where this user may not ask. */
export async function serverSettings(
  connection: RedisConnection,
  pattern: string,
): Promise<readonly ReadonlyMap<string, string>[] | undefined> {
  const replies = await permitted(() => connection.commandToMasters(['CONFIG', 'GET', pattern]))
  return replies?.map(settingsOf)
}

/** What a server is used for, as messages say it. */
export interface ServerUse {
  /** `the store`. */
  readonly who: string
  /** What becomes of what the server forgets, after `it throws`: `records away, and their operations would run again`. */
  readonly thrown: string
  /** The same after "a restart forgets …": `those operations would run again`. */
  readonly forgotten: string
}

/** Refuses a server that would forget what it must remember, or is too old to be asked. */
export async function assertSafe(
  connection: RedisConnection,
  allowEviction: boolean,
  use: ServerUse,
): Promise<void> {
  for (const info of (await serverInfos(connection)) ?? []) {
    const version = versionOf(info)
    if (version !== undefined && isTooOld(version)) {
      throw failure(
        'STORE_MISCONFIGURED',
        `${connection.where} runs version ${version}; ${use.who} needs Redis ${OLDEST.join('.')} or later, or Valkey`,
      )
    }
    const policy = info.get('maxmemory_policy')
    if (!allowEviction && policy !== undefined && policy !== 'noeviction') {
      throw failure('STORE_MISCONFIGURED', evictionMessage(connection.where, policy, use))
    }
  }
}

/** What an evicting policy means, and the mend. */
export function evictionMessage(where: string, policy: string, { who, thrown }: ServerUse): string {
  return (
    `${where} has the maxmemory-policy ${policy}: when its memory is full it throws ${thrown}; ` +
    `set maxmemory-policy noeviction, or use a server of its own for ${who}`
  )
}

/** The version of a server, where it tells one. */
export function versionOf(info: ServerInfo): string | undefined {
  return info.get('redis_version')
}

/** Whether a version is older than the oldest that knows every command of the scripts. */
export function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

/** Managed services and access lists often forbid to ask; that alone must not stop a store. */
async function permitted<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    const { cause } = error as { readonly cause?: unknown }
    const text = cause instanceof Error ? cause.message : ''
    if (/^NOPERM|unknown (?:sub)?command|no permissions/i.test(text)) return undefined
    throw error
  }
}

/** RESP2 answers a flat list, RESP3 pairs or an object. */
function settingsOf(reply: RedisReply): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  const flat = Array.isArray(reply)
    ? (reply as readonly RedisReply[]).flat()
    : Object.entries((reply ?? {}) as Record<string, RedisReply>).flat()
  for (let index = 0; index + 1 < flat.length; index += 2)
    settings.set(String(flat[index]), String(flat[index + 1]))
  return settings
}

function splitOnce(line: string, by: string): [string, string] {
  const at = line.indexOf(by)
  return [line.slice(0, at), line.slice(at + 1)]
}
