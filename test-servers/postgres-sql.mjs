import { randomBytes } from 'node:crypto'

/** Runs one statement on a connection of its own. */
export async function postgresQuery(url, sql, parameters = [], database) {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    connectionString: withDatabase(url, database),
    connectionTimeoutMillis: 10_000,
  })
  // A server that dies under us is told by the query.
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query(sql, [...parameters])).rows ?? []
  } finally {
    await client.end().catch(() => {})
  }
}

/** See `createDatabase` in index.d.mts. */
export async function createPostgresDatabase(url, name = freshName()) {
  checkName(name)
  await postgresQuery(url, `CREATE DATABASE "${name}"`)
  const drop = () => dropDatabase(url, name)
  return { name, url: withDatabase(url, name), drop, [Symbol.asyncDispose]: drop }
}

/** How often it is looked whether sessions have ended by themselves, and with which pause, in ms. */
const LOOKS = 20
const PAUSE_MS = 25

/**
 * Drops a database, whoever still uses it. Those who are just leaving are given a moment: a pool of `pg` tells that it has ended
 * before its connections have, and one that is cut off then throws an error that nobody can hear.
 */
async function dropDatabase(url, name) {
  const others = 'SELECT FROM pg_stat_activity WHERE datname = $1 LIMIT 1'
  for (let look = 0; look < LOOKS && (await postgresQuery(url, others, [name])).length > 0; look++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  await postgresQuery(url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
}

export function freshName() {
  return `t_${randomBytes(6).toString('hex')}`
}

/** The name is written into the statement. */
export function checkName(name) {
  if (!/^[a-z][a-z0-9_]{0,60}$/.test(name))
    throw new TypeError(`"${name}" is not a plain name for a database`)
}

export function withDatabase(url, database) {
  if (database === undefined) return url
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}
