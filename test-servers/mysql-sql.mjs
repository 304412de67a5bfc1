import { checkName, freshName, withDatabase } from './postgres-sql.mjs'

/** Runs one statement on a connection of its own. */
export async function mysqlQuery(url, sql, parameters = [], database) {
  const { createConnection } = await import('mysql2/promise')
  const connection = await createConnection({ uri: withDatabase(url, database), connectTimeout: 10_000 })
  // A server that dies under us is told by the query.
  connection.on('error', () => {})
  try {
    const [rows] = await connection.query(sql, [...parameters])
    return Array.isArray(rows) ? rows : []
  } finally {
    connection.destroy()
  }
}

/** See `createDatabase` in index.d.mts. */
export async function createMysqlDatabase(url, name = freshName()) {
  checkName(name)
  await mysqlQuery(url, `CREATE DATABASE \`${name}\``)
  const drop = () => dropDatabase(url, name)
  return { name, url: withDatabase(url, name), drop, [Symbol.asyncDispose]: drop }
}

/** Ends the database's sessions first: an open transaction's locks would keep the drop waiting. */
async function dropDatabase(url, name) {
  const sessions = await mysqlQuery(url, 'SELECT id FROM information_schema.processlist WHERE db = ?', [name])
  for (const { id } of sessions) await mysqlQuery(url, 'KILL ?', [id]).catch(() => {})
  await mysqlQuery(url, `DROP DATABASE IF EXISTS \`${name}\``)
}
