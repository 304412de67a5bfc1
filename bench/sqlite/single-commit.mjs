import { createRequire } from 'node:module'

const SCHEMA = `CREATE TABLE operations (
  digest TEXT PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, fingerprint TEXT,
  owner TEXT NOT NULL, fence INTEGER NOT NULL, created_at INTEGER NOT NULL, lease_until INTEGER NOT NULL,
  expires_at INTEGER, outcome BLOB
)`

/**
 * The floor: what a careful user writes by hand, with prepared statements and one transaction for each transition. It
 * keeps no history, no steps and no indexes for listings.
 *
 * @param {string} path
 * @param {'full' | 'normal'} synchronous
 */
export function singleCommit(path, synchronous) {
  const database = open(path)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
  database.exec(SCHEMA)
  const begin = database.prepare('BEGIN IMMEDIATE')
  const commit = database.prepare('COMMIT')
  const select = database.prepare('SELECT state, fence, owner, lease_until FROM operations WHERE digest = ?')
  const insert = database.prepare('INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const update = database.prepare(
    'UPDATE operations SET state = ?, outcome = ?, expires_at = ? WHERE digest = ? AND state = ? AND owner = ? AND fence = ?',
  )
  return {
    /** @param {import('onceward').ClaimRequest} request */
    async claim({ id, owner, leaseMs, fingerprint = '' }) {
      begin.run()
      const now = Date.now()
      const found = select.get(id.digest)
      const fence = now * 1000
      if (!found) {
        insert.run(
          id.digest,
          id.scope,
          id.key,
          'running',
          fingerprint,
          owner,
          fence,
          now,
          now + leaseMs,
          null,
          null,
        )
      }
      commit.run()
      return found ? { state: 'running' } : { state: 'claimed', claim: { id, owner, fence, attempt: 1 } }
    },
    /**
     * @param {import('onceward').Claim} claim
     * @param {{ value: Uint8Array }} outcome
     * @param {number} retentionMs
     */
    async complete({ id, owner, fence }, { value }, retentionMs) {
      begin.run()
      const done = update.run('done', value, Date.now() + retentionMs, id.digest, 'running', owner, fence)
      commit.run()
      return Number(done.changes) === 1
    },
    async close() {
      database.close()
    },
  }
}

/** @param {string} path */
function open(path) {
  const { DatabaseSync } =
    process.getBuiltinModule?.('node:sqlite') ?? createRequire(import.meta.url)('@photostructure/sqlite')
  return new DatabaseSync(path)
}
