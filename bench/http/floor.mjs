import { databaseClass } from '../lib/sqlite-class.mjs'

/**
 * What a careful person writes by hand: claim the key, do the work, store the answer, then answer. No lease, no
 * fingerprint, no waiting, no recovery after a crash: the least work that stores before it answers.
 *
 * @param {string} file
 * @param {'full' | 'normal'} synchronous
 */
export function createFloor(file, synchronous) {
  const database = new (databaseClass())(file)
  database.exec('PRAGMA busy_timeout = 5000')
  database.exec('PRAGMA journal_mode = WAL')
  database.exec(`PRAGMA synchronous = ${synchronous}`)
  database.exec('CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, status INTEGER, body TEXT)')
  const claim = database.prepare('INSERT INTO answers (key) VALUES (?) ON CONFLICT DO NOTHING')
  const find = database.prepare('SELECT status, body FROM answers WHERE key = ?')
  const finish = database.prepare('UPDATE answers SET status = ?, body = ? WHERE key = ?')
  return {
    /** Kept: statements of a database that nobody refers to any more are finalized with it. */
    database,
    /** Whether this request is the first of its key. @param {string} key @returns {boolean} */
    claim: (key) => claim.run(key).changes === 1,
    /** The stored answer; a `null` status while the first request runs. @param {string} key */
    find: (key) => /** @type {{ status: number | null, body: string }} */ (find.get(key)),
    /** @param {string} key @param {number} status @param {string} body */
    finish: (key, status, body) => void finish.run(status, body, key),
  }
}
