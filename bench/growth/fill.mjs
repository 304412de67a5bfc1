import { operationId } from 'onceward'
import { databaseClass } from '../lib/sqlite-class.mjs'
import { forEach, runOnce, SCOPE } from './operations.mjs'

/** @typedef {import('./connect.mjs').Store} Store */

/** The key of the operation that the others are copies of. */
const PATTERN = 'old-0'
const AT_ONCE = 2048
const DAY_MS = 86_400_000

/** The key of a filled in operation. @param {number} index */
export const oldKey = (index) => `old-${index}`

/**
 * Fills in operations that have ended: those from `from` up to, and without, `to`. Redis gets them as claims and
 * completions; the databases as copies of a row that the store wrote, with a digest, a key and times of their own.
 *
 * @param {import('./connect.mjs').StoreName} name
 * @param {Store} store
 * @param {import('./servers.mjs').StartedServer} server
 * @param {number} from
 * @param {number} to
 */
export async function fill(name, store, server, from, to) {
  if (from === 0) await runOnce(store, PATTERN)
  const first = Math.max(1, from)
  if (name === 'redis') {
    await forEach(first, to, AT_ONCE, (index) => runOnce(store, oldKey(index)))
  } else if (name === 'sqlite') {
    fillSqlite(server.url, first, to - 1)
  } else {
    const step = 1_000_000
    for (let start = first; start < to; start += step)
      await server.sql?.(COPIES[name](start, Math.min(to, start + step) - 1))
    await server.sql?.(
      name === 'postgres' ? 'ANALYZE onceward_operations' : 'ANALYZE TABLE onceward_operations',
    )
  }
}

const HASHED = `${Buffer.byteLength(SCOPE)}:${SCOPE}old-`
const PATTERN_DIGEST = operationId(SCOPE, PATTERN).digest

const COPIES = {
  postgres: (/** @type {number} */ first, /** @type {number} */ last) => `
    INSERT INTO onceward_operations (digest, scope, key, state, fingerprint, on_crash, holds, owner, fence, attempt,
      created_at, updated_at, lease_until, retention_ms, expires_at, asks, next_ask_at, duplicates, detail, history, payload)
    SELECT translate(rtrim(encode(sha256(convert_to('${HASHED}' || n, 'UTF8')), 'base64'), '='), '+/', '-_'), scope,
      'old-' || n, state, fingerprint, on_crash, holds, owner, fence, attempt, created_at - n % ${DAY_MS}, updated_at,
      lease_until, retention_ms, expires_at + n % ${DAY_MS}, asks, next_ask_at, duplicates, detail, history, payload
    FROM onceward_operations, generate_series(${first}, ${last}) n WHERE digest = '${PATTERN_DIGEST}'`,
  mariadb: (/** @type {number} */ first, /** @type {number} */ last) => `
    INSERT INTO onceward_operations (digest, scope, \`key\`, state, fingerprint, on_crash, holds, owner, fence, attempt,
      created_at, updated_at, lease_until, retention_ms, expires_at, asks, next_ask_at, duplicates, detail, history, payload)
    SELECT REPLACE(REPLACE(TRIM(TRAILING '=' FROM TO_BASE64(UNHEX(SHA2(CONCAT('${HASHED}', seq), 256)))), '+', '-'), '/', '_'),
      scope, CONCAT('old-', seq), state, fingerprint, on_crash, holds, owner, fence, attempt, created_at - seq % ${DAY_MS},
      updated_at, lease_until, retention_ms, expires_at + seq % ${DAY_MS}, asks, next_ask_at, duplicates, detail, history,
      payload
    FROM onceward_operations, seq_${first}_to_${last} WHERE digest = '${PATTERN_DIGEST}'`,
}

/** @param {string} file @param {number} first @param {number} last */
function fillSqlite(file, first, last) {
  const database = new (databaseClass())(file)
  database.exec('PRAGMA busy_timeout = 5000')
  database.exec('PRAGMA synchronous = off')
  const pattern = database.prepare('SELECT * FROM onceward_operations WHERE digest = ?').get(PATTERN_DIGEST)
  const { id: _, ...row } = /** @type {Record<string, any>} */ (pattern)
  const columns = Object.keys(row)
  const insert = database.prepare(
    `INSERT INTO onceward_operations (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
  )
  const step = 50_000
  for (let start = first; start <= last; start += step) {
    database.exec('BEGIN IMMEDIATE')
    for (let index = start; index <= last && index < start + step; index += 1) {
      const key = oldKey(index)
      const copy = {
        ...row,
        digest: operationId(SCOPE, key).digest,
        key,
        expires_at: row['expires_at'] + (index % DAY_MS),
      }
      insert.run(...columns.map((column) => /** @type {any} */ (copy)[column]))
    }
    database.exec('COMMIT')
  }
  database.close()
}
