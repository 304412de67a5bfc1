import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runTool, startPostgresInstance, writeSettings } from './postgres-instance.mjs'

/** A replica that does not get there in this time has a defect, or the test has. */
const MOST_MS = 30_000

/** See `createReplica` and `PostgresReplica` in index.d.mts. */
export async function createReplica({ primary, program, user, password, lines, env }, { settings = {} }) {
  const name = `replica_${randomBytes(4).toString('hex')}`
  const conninfo = [
    `host=127.0.0.1 port=${primary.port} user=postgres application_name=${name}`,
    ...(password === undefined ? [] : [`password='${password.replace(/['\\]/g, '\\$&')}'`]),
  ].join(' ')
  const replica = await startPostgresInstance({
    program,
    user,
    env,
    password,
    async prepare({ folder, port }) {
      const from = [
        '-d',
        conninfo,
        '-D',
        join(folder, 'data'),
        '-c',
        'fast',
        '-X',
        'stream',
        '--no-sync',
        '-R',
      ]
      await runTool(program, 'pg_basebackup', user, from)
      await writeSettings(folder, { ...lines, ...settings, port: String(port) })
    },
  })
  const setSource = async (source) => {
    // What pg_basebackup and we write goes to the same file, so the last one holds.
    await replica.query(`ALTER SYSTEM SET primary_conninfo = '${source.replaceAll("'", "''")}'`)
    await replica.query('SELECT pg_reload_conf()')
  }
  const caughtUp = async () => {
    // Without this the last records stay in the primary's memory for a while, where no replica sees them.
    await primary.query(`SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'onceward', '')`)
    const [{ written }] = await primary.query('SELECT pg_current_wal_flush_lsn()::text AS written')
    await until('has not caught up', async () => {
      const [row] = await replica.query(
        `SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS reached FROM pg_stat_wal_receiver`,
        [written],
      )
      return row?.reached === true
    })
  }
  const running = async (query, what) =>
    until(what, async () => (await replica.query(query))[0].done === true)
  await caughtUp()
  return Object.assign(replica, {
    caughtUp,
    async promote() {
      await replica.query('SELECT pg_promote(true, 30)')
      await running('SELECT NOT pg_is_in_recovery() AS done', 'is still a replica')
    },
    async disconnect() {
      await setSource('')
      await running('SELECT count(*) = 0 AS done FROM pg_stat_wal_receiver', 'still receives')
    },
    async reconnect() {
      await setSource(conninfo)
      await caughtUp()
    },
    async pauseReplay() {
      await replica.query('SELECT pg_wal_replay_pause()')
      await running(`SELECT pg_get_wal_replay_pause_state() = 'paused' AS done`, 'still replays')
    },
    async resumeReplay() {
      await replica.query('SELECT pg_wal_replay_resume()')
    },
    createReplica: () => Promise.reject(new TypeError('a replica of a replica is not made here')),
  })
}

async function until(complaint, condition) {
  for (const end = Date.now() + MOST_MS; !(await condition()); await sleep(10)) {
    if (Date.now() > end) throw new Error(`the replica ${complaint} after ${MOST_MS} ms`)
  }
}
