import type { Finding } from '../../core/store.ts'
import { foundSchema, type MysqlSession, READ_NOW, SCHEMA_VERSION } from '../../drivers/mysql/index.ts'
import { COUNT_EXPIRED, COUNT_LAPSED } from './catalog-statements.ts'
import type { StoreContext } from './store-context.ts'

/** A difference of clocks that is worth a warning, in ms. Leases count on the server's clock all the same. */
const SKEW_MS = 1000

const MANY_EXPIRED = 10_000

type Verdict = Pick<Finding, 'level' | 'message'>

/** Looks at what would weaken the guarantees. It needs no schema and changes nothing. */
export async function doctorFindings(context: StoreContext): Promise<readonly Finding[]> {
  return context.driver.use(async (session) => {
    const variables = await variablesOf(session)
    const on = (name: string) => /^(1|on)$/i.test(variables.get(name) ?? '')
    const schema = await foundSchema(session)
    const findings: Finding[] = [
      { check: 'schema', ...schemaVerdict(schema.version) },
      { check: 'version', ...versionVerdict(variables.get('version') ?? '') },
      { check: 'write', ...writeVerdict(on('read_only') || on('super_read_only') || on('innodb_read_only')) },
      { check: 'durability', ...durabilityVerdict(variables) },
      { check: 'binlog', ...binlogVerdict(on('log_bin'), variables) },
      { check: 'clock', ...(await clockVerdict(context, session, on('sysdate_is_now'))) },
      { check: 'packet', ...packetVerdict(Number(variables.get('max_allowed_packet'))) },
      { check: 'grants', ...(await grantsVerdict(session)) },
    ]
    if (on('wsrep_on')) findings.push({ check: 'cluster', ...GALERA })
    if (schema.version !== SCHEMA_VERSION) return findings
    return [
      ...findings,
      { check: 'engine', ...(await engineVerdict(session)) },
      { check: 'lapsed', ...lapsedVerdict(await count(session, COUNT_LAPSED)) },
      { check: 'expired', ...expiredVerdict(await count(session, COUNT_EXPIRED)) },
    ]
  })
}

const VARIABLES = `SHOW VARIABLES WHERE Variable_name IN ('version', 'read_only', 'super_read_only', 'innodb_read_only',
  'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'sync_binlog', 'log_bin', 'binlog_format', 'max_allowed_packet',
  'wsrep_on')`
const SYSDATE = 'SELECT SLEEP(0.002) AS slept, SYSDATE(6) > NOW(6) AS moves'
const ENGINE = `SELECT engine AS engine FROM information_schema.tables
  WHERE table_schema = DATABASE() AND table_name = 'onceward_operations'`

async function variablesOf(session: MysqlSession): Promise<ReadonlyMap<string, string>> {
  const { rows } = await session.query(VARIABLES)
  return new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]))
}

async function count(session: MysqlSession, statement: string): Promise<number> {
  return Number((await session.query(statement)).rows[0]?.['count'])
}

function schemaVerdict(version: number): Verdict {
  if (version === SCHEMA_VERSION) return { level: 'ok', message: `Schema version ${version}.` }
  return version > SCHEMA_VERSION
    ? { level: 'warn', message: `Schema version ${version} is newer than this program's; upgrade onceward.` }
    : { level: 'fail', message: `Schema version ${version} of ${SCHEMA_VERSION}; run \`onceward migrate\`.` }
}

function versionVerdict(version: string): Verdict {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const least = /mariadb/i.test(version) ? 10.06 : 8
  return major + minor / 100 >= least
    ? { level: 'ok', message: `The server is ${version}.` }
    : { level: 'fail', message: `The server is ${version}; MySQL 8.0 or MariaDB 10.6, or later, is needed.` }
}

function writeVerdict(readOnly: boolean): Verdict {
  return readOnly
    ? { level: 'fail', message: 'The server is read-only; connect to the primary.' }
    : { level: 'ok', message: 'The server takes writes.' }
}

function durabilityVerdict(variables: ReadonlyMap<string, string>): Verdict {
  const flush = variables.get('innodb_flush_log_at_trx_commit')
  if (flush !== '1') {
    return {
      level: 'warn',
      message: `innodb_flush_log_at_trx_commit is ${flush}: a power cut or crash may undo what was answered last, and an operation may run again. Set it to 1.`,
    }
  }
  return { level: 'ok', message: 'A commit is on the disk when it is answered.' }
}

function binlogVerdict(enabled: boolean, variables: ReadonlyMap<string, string>): Verdict {
  if (!enabled) return { level: 'ok', message: 'There is no binary log.' }
  const format = variables.get('binlog_format') ?? 'ROW'
  if (/^statement$/i.test(format)) {
    return {
      level: 'fail',
      message:
        'binlog_format is STATEMENT, with which the server refuses what the store does. Set it to ROW or MIXED.',
    }
  }
  return variables.get('sync_binlog') === '1'
    ? { level: 'ok', message: `The binary log is by ${format} and on the disk at each commit.` }
    : {
        level: 'warn',
        message: `sync_binlog is ${variables.get('sync_binlog')}: after a crash a replica may lack what was answered last. Set it to 1.`,
      }
}

async function clockVerdict(
  context: StoreContext,
  session: MysqlSession,
  sysdateIsNow: boolean,
): Promise<Verdict> {
  const before = context.clock.now()
  const { rows } = await session.query(READ_NOW)
  const after = context.clock.now()
  const skew = Math.round(Number(rows[0]?.['now']) - (before + after) / 2)
  // An answer that took long tells the server's time only to half of that.
  if (Math.abs(skew) - (after - before) / 2 > SKEW_MS) {
    return {
      level: 'warn',
      message: `The clock of the server is ${skew} ms off this process's. Leases count on the server's; keep both right with NTP.`,
    }
  }
  const moves = Number((await session.query(SYSDATE)).rows[0]?.['moves']) === 1
  return sysdateIsNow || !moves
    ? {
        level: 'warn',
        message: 'sysdate_is_now is on, so that statements cannot tell how long they waited. Turn it off.',
      }
    : { level: 'ok', message: `The clock of the server is ${skew} ms off this process's.` }
}

function packetVerdict(bytes: number): Verdict {
  const mebibytes = bytes / 1024 / 1024
  return mebibytes >= 4
    ? { level: 'ok', message: `A stored value may have ${mebibytes.toFixed(0)} MiB (max_allowed_packet).` }
    : {
        level: 'warn',
        message: `max_allowed_packet is ${bytes} bytes: larger outcomes cannot be stored. Raise it.`,
      }
}

async function grantsVerdict(session: MysqlSession): Promise<Verdict> {
  const { rows } = await session.query('SHOW GRANTS')
  const grants = rows.flatMap((row) => Object.values(row).map(String)).join('\n')
  // Roles and column grants are not looked into: what is missing in the end is told by the statement that needs it.
  const all = /GRANT ALL PRIVILEGES ON/i.test(grants)
  const lacking = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].filter(
    (one) => !all && !new RegExp(`\\b${one}\\b`, 'i').test(grants),
  )
  return lacking.length === 0 || /GRANT [`'"]/.test(grants)
    ? { level: 'ok', message: 'The user may read and write.' }
    : {
        level: 'warn',
        message: `No grant of ${lacking.join(', ')} was seen for this user; the store needs it.`,
      }
}

const GALERA: Verdict = {
  level: 'warn',
  message:
    'This is a Galera cluster: a read on one node may lag behind another (set wsrep_sync_wait=7, or use one node for writes).',
}

async function engineVerdict(session: MysqlSession): Promise<Verdict> {
  const engine = String((await session.query(ENGINE)).rows[0]?.['engine'])
  return engine === 'InnoDB'
    ? { level: 'ok', message: 'The tables are InnoDB.' }
    : {
        level: 'fail',
        message: `The tables are ${engine}, which has no transactions; convert them to InnoDB.`,
      }
}

function lapsedVerdict(found: number): Verdict {
  return found === 0
    ? { level: 'ok', message: 'No lapsed claim waits to be swept.' }
    : { level: 'warn', message: `${found} lapsed claims wait to be marked as held; run a sweep.` }
}

function expiredVerdict(found: number): Verdict {
  return found < MANY_EXPIRED
    ? { level: 'ok', message: `${found} expired records wait to be purged.` }
    : { level: 'warn', message: `${found} expired records wait to be purged; run a purge.` }
}
