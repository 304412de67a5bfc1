import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Finding } from '../../core/store.ts'
import { SCHEMA_VERSION, schemaVersion } from '../../drivers/sqlite/index.ts'
import { IS_LAPSED } from './record-row.ts'
import type { StoreContext } from './store-context.ts'

/** Less free space than this is worth a warning, in bytes. */
const LITTLE_SPACE = 256 * 1024 * 1024

const LAPSED = `SELECT count(*) AS count FROM onceward_operations WHERE ${IS_LAPSED}`
const EXPIRED = `SELECT count(*) AS count FROM onceward_operations WHERE expires_at IS NOT NULL AND expires_at <= ?`
const LEVELS = ['OFF', 'NORMAL', 'FULL', 'EXTRA']

type Verdict = Pick<Finding, 'level' | 'message'>

/**
 * Looks at what would weaken the guarantees. It needs no schema and changes nothing.
 *
 * Limit: the integrity check reads the whole file, and holds up this process while it does.
 *
 * @param about.file - The path of the file, when there is one.
 * @param about.autoMigrate - Whether the first use brings the schema up to date.
 */
export function doctorFindings(
  context: StoreContext,
  about: { readonly file: string | undefined; readonly autoMigrate: boolean },
): readonly Finding[] {
  const { connection, clock } = context
  const count = (sql: string) =>
    Number((connection.prepare(sql).get(clock.now()) as { readonly count: number }).count)
  const findings = [
    look('schema', () => schema(schemaVersion(connection), about.autoMigrate)),
    look('journal', () => journal(String(connection.value('PRAGMA journal_mode')))),
    look('synchronous', () => synchronous(Number(connection.value('PRAGMA synchronous')))),
    look('integrity', () => integrity(String(connection.value('PRAGMA quick_check(1)')))),
    look('write', () => write(connection.value('PRAGMA query_only') === 1)),
  ]
  const { file } = about
  if (file !== undefined) findings.push(look('space', () => space(file)))
  if (findings[0]?.level !== 'ok') return findings
  return [
    ...findings,
    look('lapsed', () => lapsed(count(LAPSED))),
    look('expired', () => expired(count(EXPIRED))),
  ]
}

function look(check: string, verdict: () => Verdict): Finding {
  try {
    return { check, ...verdict() }
  } catch (error) {
    return { check, level: 'fail', message: error instanceof Error ? error.message : String(error) }
  }
}

function schema(found: number, autoMigrate: boolean): Verdict {
  if (found === SCHEMA_VERSION) return { level: 'ok', message: `Schema version ${found}.` }
  if (found > SCHEMA_VERSION) {
    return {
      level: 'fail',
      message: `Schema version ${found} is newer than this program knows; upgrade onceward.`,
    }
  }
  return autoMigrate
    ? {
        level: 'warn',
        message: `Schema version ${found} of ${SCHEMA_VERSION}; the first use brings it up to date.`,
      }
    : { level: 'fail', message: `Schema version ${found} of ${SCHEMA_VERSION}; run the migration.` }
}

function journal(mode: string): Verdict {
  return mode === 'wal'
    ? { level: 'ok', message: 'Write-ahead log is on.' }
    : {
        level: 'warn',
        message: `Journal mode is ${mode}: readers block writers. Run PRAGMA journal_mode = WAL.`,
      }
}

function synchronous(level: number): Verdict {
  const name = LEVELS[level] ?? String(level)
  return level >= 2
    ? { level: 'ok', message: `synchronous is ${name}: what was answered survives a power cut.` }
    : {
        level: 'warn',
        message: `synchronous is ${name}: a power cut or crash of the machine may undo what was answered last. Use FULL.`,
      }
}

function integrity(answer: string): Verdict {
  return answer === 'ok'
    ? { level: 'ok', message: 'The file is intact.' }
    : { level: 'fail', message: `The file is damaged (${answer}); restore it from a backup.` }
}

function write(queryOnly: boolean): Verdict {
  return queryOnly
    ? { level: 'fail', message: 'The connection is read-only.' }
    : { level: 'ok', message: 'The connection may write.' }
}

function space(file: string): Verdict {
  const { bavail, bsize } = statfsSync(dirname(file))
  const free = bavail * bsize
  const mebibytes = Math.floor(free / 1024 / 1024)
  return free < LITTLE_SPACE
    ? { level: 'warn', message: `Only ${mebibytes} MiB are free on the disk of the database.` }
    : { level: 'ok', message: `${mebibytes} MiB are free.` }
}

function lapsed(count: number): Verdict {
  return count === 0
    ? { level: 'ok', message: 'No lapsed claim waits to be swept.' }
    : { level: 'warn', message: `${count} lapsed claims wait to be marked as held; run a sweep.` }
}

function expired(count: number): Verdict {
  return count < 10_000
    ? { level: 'ok', message: `${count} expired records wait to be purged.` }
    : { level: 'warn', message: `${count} expired records wait to be purged; run a purge.` }
}
