import type { Finding } from '../../core/store.ts'
import type { RedisConnection } from './redis-connection.ts'
import {
  evictionMessage,
  isTooOld,
  type ServerInfo,
  type ServerUse,
  serverInfos,
  serverSettings,
  versionOf,
} from './server-facts.ts'

type Verdict = Pick<Finding, 'level' | 'message'>
type Settings = ReadonlyMap<string, string>

/** More than this difference to the server's clock is told, in ms. */
const SKEW_MS = 2000

/** Findings as they are made: a check that cannot be carried out is one that failed. */
export interface CheckUp {
  readonly findings: Finding[]
  look(check: string, verdict: () => Verdict | Promise<Verdict>): Promise<void>
}

/** Makes an empty list of findings. */
export function checkUp(): CheckUp {
  const findings: Finding[] = []
  return {
    findings,
    async look(check, verdict) {
      try {
        findings.push({ check, ...(await verdict()) })
      } catch (error) {
        findings.push({
          check,
          level: 'fail',
          message: error instanceof Error ? error.message : String(error),
        })
      }
    },
  }
}

/**
 * Looks at what of a server would weaken the guarantees, and changes nothing. Answers false where the server does not
 * answer at all.
 */
export async function checkServer(
  { findings, look }: CheckUp,
  connection: RedisConnection,
  { allowEviction, use }: { readonly allowEviction: boolean; readonly use: ServerUse },
): Promise<boolean> {
  const { where } = connection
  let infos: readonly ServerInfo[] | undefined
  await look('connection', async () => {
    const answer = await connection.commandToMasters(['PING'])
    infos = await serverInfos(connection)
    return ok(`${where} answers${answer.length > 1 ? ` on ${answer.length} nodes` : ''}.`)
  })
  if (findings.at(-1)?.level === 'fail') return false
  const settings = await serverSettings(connection, '*').catch(() => undefined)
  if (infos === undefined) {
    await look('permission', () =>
      warn(
        `This user may not ask ${where} for INFO, so its version, eviction and persistence are unknown; allow it, or check them by hand.`,
      ),
    )
  }
  for (const [index, info] of (infos ?? []).entries()) {
    const config = settings?.[index]
    await look('version', () => version(info))
    await look('role', () => role(info))
    await look('eviction', () => eviction(where, info, allowEviction, use))
    await look('memory', () => memory(info))
    await look('persistence', () => persistence(info, config, use))
    await look('replication', () => replication(info, config))
  }
  if (connection.cluster)
    await look('cluster', async () => clusterState(String(await connection.command(['CLUSTER', 'INFO']))))
  return true
}

/** What a difference between the server's clock and this machine's means. */
export function clockVerdict(differenceMs: number): Verdict {
  const difference = Math.round(differenceMs)
  return Math.abs(difference) > SKEW_MS
    ? warn(
        `The server's clock differs by ${difference} ms from this machine's. Leases do not suffer, times in logs do; run NTP on both.`,
      )
    : ok(`The server's clock agrees with this machine's to ${Math.abs(difference)} ms.`)
}

/** A finding that all is well. */
export function ok(message: string): Verdict {
  return { level: 'ok', message }
}

/** A finding that something is weak. */
export function warn(message: string): Verdict {
  return { level: 'warn', message }
}

function fail(message: string): Verdict {
  return { level: 'fail', message }
}

function version(info: ServerInfo): Verdict {
  const found = versionOf(info) ?? 'unknown'
  const name =
    info.get('server_name') === 'valkey' ? `Valkey ${info.get('valkey_version') ?? ''}` : `Redis ${found}`
  return isTooOld(found)
    ? fail(`${name} is too old; upgrade to Redis 6.2 or later, or Valkey.`)
    : ok(`${name}.`)
}

function role(info: ServerInfo): Verdict {
  return info.get('role') === 'slave'
    ? fail('This is a read-only replica; connect to its primary.')
    : ok('This is a primary.')
}

function eviction(where: string, info: ServerInfo, allowed: boolean, use: ServerUse): Verdict {
  const policy = info.get('maxmemory_policy')
  if (policy === undefined)
    return warn('The server does not tell its maxmemory-policy; it has to be noeviction.')
  if (policy === 'noeviction') return ok('maxmemory-policy is noeviction.')
  const message = `${evictionMessage(where, policy, use)}.`
  return allowed ? warn(message) : fail(message)
}

function memory(info: ServerInfo): Verdict {
  const [used, most] = [Number(info.get('used_memory')), Number(info.get('maxmemory'))]
  if (!(most > 0))
    return warn('maxmemory is not set: the server takes what the machine has. Set it below that.')
  const share = Math.round((used / most) * 100)
  return share >= 85
    ? warn(`${share} % of maxmemory is used; at 100 % nothing is accepted any more. Raise it, or purge.`)
    : ok(`${share} % of maxmemory is used.`)
}

function persistence(info: ServerInfo, config: Settings | undefined, { forgotten }: ServerUse): Verdict {
  if (info.get('aof_last_write_status') === 'err')
    return fail('The server cannot write its append-only file; look at its log.')
  if (info.get('aof_enabled') === '1') {
    const fsync = config?.get('appendfsync')
    if (fsync === 'always') return ok('appendfsync is always: what was answered survives a power cut.')
    return warn(
      `appendfsync is ${fsync ?? 'not to be read, by default everysec'}: a power cut or crash of the machine may undo about the last ` +
        `${fsync === 'no' ? '30 seconds' : 'second'} of what was answered, and ${forgotten}. Use always.`,
    )
  }
  const saves = config?.get('save')
  return saves === ''
    ? warn(
        `Neither the append-only file nor snapshots are on: a restart forgets everything, and ${forgotten}. Set appendonly yes.`,
      )
    : warn(
        `The append-only file is off: a restart forgets what came after the last snapshot, and ${forgotten}. Set appendonly yes.`,
      )
}

function replication(info: ServerInfo, config: Settings | undefined): Verdict {
  const replicas = Number(info.get('connected_slaves') ?? 0)
  if (replicas === 0) return ok('It has no replicas.')
  const needed = Number(config?.get('min-replicas-to-write') ?? 0)
  return needed > 0
    ? ok(`${replicas} replicas; writes need ${needed} of them in touch.`)
    : warn(
        `${replicas} replicas, and min-replicas-to-write is 0: a primary that is cut off goes on accepting what a failover then loses. Set min-replicas-to-write 1.`,
      )
}

function clusterState(text: string): Verdict {
  return text.includes('cluster_state:ok')
    ? ok('The cluster serves all hash slots.')
    : fail('The cluster does not serve all hash slots; look at CLUSTER INFO.')
}
