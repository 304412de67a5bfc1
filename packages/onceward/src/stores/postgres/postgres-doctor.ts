import type { Finding } from '../../core/store.ts'
import {
  isTooNew,
  NOW_MS,
  pgFailure,
  plain,
  SCHEMA_VERSION,
  type ServerFacts,
  serverFacts,
} from '../../drivers/pg/index.ts'
import type { StoreContext } from './store-context.ts'

type Verdict = Pick<Finding, 'level' | 'message'>

/** How far this process's clock may be from the server's before it is told, in ms. */
const MAX_SKEW_MS = 5000

/** Dead rows are worth a warning from this many on, where they outnumber the live ones. */
const MANY_DEAD = 100_000

const SERVER = `SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
  current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
  current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS standbys,
  pg_is_in_recovery()::text AS recovering, current_setting('default_transaction_read_only') AS readonly,
  current_setting('default_transaction_isolation') AS isolation, (${NOW_MS})::text AS now`
const SERVER_NAMES = [
  'version',
  'encoding',
  'fsync',
  'pages',
  'commit',
  'standbys',
  'recovering',
  'readonly',
  'isolation',
  'now',
] as const

/**
 * Looks at what would weaken the guarantees. It needs no schema and changes nothing.
 *
 * Limit: what a proxy, a failover manager or a snapshot backup does to committed transactions cannot be seen from here.
 *
 * @param pushed - Whether notifications arrive; absent while nobody has waited yet.
 */
export async function doctorFindings(
  context: StoreContext,
  pushed: boolean | undefined,
): Promise<readonly Finding[]> {
  const { driver, settings } = context
  const before = settings.clock.now()
  const { rows } = await driver.run(plain(SERVER, SERVER_NAMES), [])
  const skewMs = Number(rows[0]?.[9]) - (before + settings.clock.now()) / 2
  const told = Object.fromEntries(SERVER_NAMES.map((name, index) => [name, rows[0]?.[index] ?? '']))
  const facts = await serverFacts(driver.run, settings.schema)
  const findings: Finding[] = [
    { check: 'server', ...server(told) },
    { check: 'schema', ...schema(facts, settings.autoMigrate) },
    { check: 'durability', ...durability(told) },
    { check: 'write', ...write(told) },
    { check: 'isolation', ...isolation(told) },
    { check: 'clock', ...clock(skewMs) },
    { check: 'push', ...push(context.listener !== undefined, pushed) },
  ]
  if (facts.schemaVersion === 0) return findings
  const looks = [
    ['permissions', permissions],
    ['lapsed', lapsed],
    ['expired', expired],
    ['vacuum', vacuum],
  ] as const
  for (const [check, look] of looks) findings.push({ check, ...(await looked(context, look)) })
  return findings
}

async function looked(
  context: StoreContext,
  look: (context: StoreContext) => Promise<Verdict>,
): Promise<Verdict> {
  try {
    return await look(context)
  } catch (error) {
    const failure = pgFailure(error, context.driver.where)
    return { level: 'fail', message: failure instanceof Error ? failure.message : String(failure) }
  }
}

function server({ version, encoding }: Readonly<Record<string, string>>): Verdict {
  return encoding === 'UTF8'
    ? { level: 'ok', message: `PostgreSQL ${version}.` }
    : {
        level: 'warn',
        message: `The database's encoding is ${encoding}: keys and reasons it cannot hold are refused. Use UTF8.`,
      }
}

function schema(facts: ServerFacts, autoMigrate: boolean): Verdict {
  const { schemaVersion, compatibleFrom } = facts
  if (schemaVersion === SCHEMA_VERSION) return { level: 'ok', message: `Schema version ${schemaVersion}.` }
  if (isTooNew(facts)) {
    return {
      level: 'fail',
      message: `Schema version ${schemaVersion} is for programs that know ${compatibleFrom} or later; upgrade onceward.`,
    }
  }
  if (schemaVersion > SCHEMA_VERSION) {
    return { level: 'ok', message: `Schema version ${schemaVersion} is newer and compatible; upgrade soon.` }
  }
  return autoMigrate
    ? {
        level: 'warn',
        message: `Schema version ${schemaVersion} of ${SCHEMA_VERSION}; the first use brings it up to date.`,
      }
    : {
        level: 'fail',
        message: `Schema version ${schemaVersion} of ${SCHEMA_VERSION}; run \`onceward migrate\`.`,
      }
}

function durability({ fsync, pages, commit, standbys }: Readonly<Record<string, string>>): Verdict {
  if (fsync !== 'on' || pages !== 'on') {
    return {
      level: 'warn',
      message: `fsync is ${fsync}, full_page_writes is ${pages}: a crash of the machine may damage the database. Turn both on.`,
    }
  }
  if (commit === 'off') {
    return {
      level: 'warn',
      message: 'synchronous_commit is off: a crash of the server may undo what was answered last. Use on.',
    }
  }
  return standbys === ''
    ? {
        level: 'ok',
        message: `Commits are flushed (synchronous_commit ${commit}); a failover to a replica may lose the last ones, because none is synchronous.`,
      }
    : { level: 'ok', message: `Commits are flushed and confirmed (${commit}) by a replica of ${standbys}.` }
}

function write({ recovering, readonly }: Readonly<Record<string, string>>): Verdict {
  if (recovering === 'true') return { level: 'fail', message: 'This is a replica; connect to the primary.' }
  return readonly === 'on'
    ? {
        level: 'fail',
        message: 'default_transaction_read_only is on for this user or database; turn it off.',
      }
    : { level: 'ok', message: 'The server takes writes.' }
}

function isolation({ isolation: level }: Readonly<Record<string, string>>): Verdict {
  return level === 'read committed'
    ? { level: 'ok', message: 'Statements run under READ COMMITTED.' }
    : {
        level: 'warn',
        message: `default_transaction_isolation is ${level}: each call of the store takes two more round trips. Set READ COMMITTED for this user.`,
      }
}

function clock(skewMs: number): Verdict {
  const off = Math.round(Math.abs(skewMs))
  return off <= MAX_SKEW_MS
    ? { level: 'ok', message: `This clock and the server's differ by ${off} ms.` }
    : {
        level: 'warn',
        message: `This clock and the server's differ by ${off} ms: leases are safe, times in logs mislead. Synchronise both.`,
      }
}

function push(listens: boolean, pushed: boolean | undefined): Verdict {
  if (!listens) return { level: 'ok', message: 'Waiters poll (listen is false).' }
  if (pushed === undefined) return { level: 'ok', message: 'Nobody has waited yet.' }
  return pushed
    ? { level: 'ok', message: 'Waiters are woken by notifications.' }
    : {
        level: 'warn',
        message:
          'Notifications do not arrive (a pooler in transaction mode?): waiters poll, and wake up to 250 ms later. Give `listen` a pool that is connected past it.',
      }
}

async function permissions({ run, settings: { schema: name } }: StoreContext): Promise<Verdict> {
  const { rows } = await run(
    plain(
      `SELECT t.name AS name, p.privilege AS privilege FROM
        (VALUES ('onceward_operations'), ('onceward_audit')) AS t(name),
        (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p(privilege)
      WHERE NOT (t.name = 'onceward_audit' AND p.privilege IN ('UPDATE', 'DELETE'))
        AND NOT has_table_privilege(format('%I.%I', $1::text, t.name), p.privilege)`,
      ['name', 'privilege'],
    ),
    [name],
  )
  if (rows.length === 0) return { level: 'ok', message: 'This user may do all that is needed.' }
  const lacking = rows.map(([table, privilege]) => `${privilege} on ${table}`).join(', ')
  return { level: 'fail', message: `This user lacks ${lacking}; grant it.` }
}

async function lapsed(context: StoreContext): Promise<Verdict> {
  const count = await countOf(
    context,
    `o.state = 'running' AND o.state <> 'done' AND o.holds AND o.lease_until <= ${NOW_MS}`,
  )
  return count === 0
    ? { level: 'ok', message: 'No lapsed claim waits to be swept.' }
    : { level: 'warn', message: `${count} lapsed claims wait to be marked as held; run a sweep.` }
}

async function expired(context: StoreContext): Promise<Verdict> {
  const count = await countOf(context, `o.expires_at IS NOT NULL AND o.expires_at <= ${NOW_MS}`)
  return count < 10_000
    ? { level: 'ok', message: `${count} expired records wait to be purged.` }
    : {
        level: 'warn',
        message: `${count >= MOST ? `${MOST} or more` : count} expired records wait to be purged; run a purge.`,
      }
}

/** Counting stops here. */
const MOST = 100_000

async function countOf({ run, settings }: StoreContext, condition: string): Promise<number> {
  const { rows } = await run(
    plain(
      `SELECT count(*)::text AS count FROM (SELECT 1 FROM "${settings.schema}".onceward_operations AS o
        WHERE ${condition} LIMIT ${MOST}) AS few`,
      ['count'],
    ),
    [],
  )
  return Number(rows[0]?.[0])
}

async function vacuum({ run, settings }: StoreContext): Promise<Verdict> {
  const { rows } = await run(
    plain(
      `SELECT s.n_live_tup::text AS live, s.n_dead_tup::text AS dead, current_setting('autovacuum') AS autovacuum
        FROM pg_stat_user_tables AS s WHERE s.relid = to_regclass($1::text)`,
      ['live', 'dead', 'autovacuum'],
    ),
    [`"${settings.schema}".onceward_operations`],
  )
  const [live, dead, autovacuum] = rows[0] ?? []
  if (autovacuum === 'off') {
    return { level: 'warn', message: 'autovacuum is off: the tables grow with every operation. Turn it on.' }
  }
  return Number(dead) > MANY_DEAD && Number(dead) > Number(live)
    ? { level: 'warn', message: `${dead} dead rows beside ${live} live ones: autovacuum lags behind.` }
    : { level: 'ok', message: 'Autovacuum keeps up.' }
}
