import { readFile } from 'node:fs/promises'
import { type CatalogStore, closingToo, type OpenOptions } from './catalog-store.ts'
import { connectionNews } from './connection-trouble.ts'
import { choiceOf, numberOf, onlyHost, parseStoreUrl, type StoreUrl } from './store-url.ts'

/** The schemes of MySQL and MariaDB. */
export const MYSQL_SCHEMES: readonly string[] = ['mysql', 'mariadb']

/** How many connections one process uses at most. */
const POOL_SIZE = 10

/** How long a new connection may take, in ms. */
const CONNECT_MS = 5000

/** Opens a store on MySQL or MariaDB. Nothing is connected before the first call. @throws `CommandError` (usage). */
export async function openMysqlStore(given: string, options: OpenOptions): Promise<CatalogStore> {
  const url = parseStoreUrl('--store', given, ['poolSize', 'ssl', 'sslCa'])
  const { host, port = 3306 } = onlyHost(url)
  if (url.path === '') throw url.wrong('names no database; write …/DATABASE')
  const ssl = await sslOf(url)
  const { createPool } = await import('mysql2/promise')
  const pool = createPool({
    host,
    port,
    ...(url.user === undefined ? {} : { user: url.user }),
    ...(url.password === undefined ? {} : { password: url.password }),
    database: url.path,
    ...(ssl === undefined ? {} : { ssl }),
    connectionLimit: numberOf(url, 'poolSize', 2, 1000) ?? POOL_SIZE,
    connectTimeout: CONNECT_MS,
    enableKeepAlive: true,
  })
  const news = connectionNews(url.shown, options.onConnection)
  pool.on('connection', (connection) => {
    news.back()
    // Without a listener a connection that dies while it is idle would end the process.
    connection.on('error', news.lost)
  })
  const { mysqlStore } = await import('onceward/mysql')
  return closingToo(mysqlStore(pool), () => pool.end())
}

async function sslOf(url: StoreUrl): Promise<{ rejectUnauthorized: boolean; ca?: string } | undefined> {
  const mode = choiceOf(url, 'ssl', ['off', 'no-verify', 'on'])
  const file = url.parameter('sslCa')
  if (mode === 'off' || (mode === undefined && file === undefined)) return undefined
  if (mode === 'no-verify') return { rejectUnauthorized: false }
  if (file === undefined) return { rejectUnauthorized: true }
  try {
    return { rejectUnauthorized: true, ca: await readFile(file, 'utf8') }
  } catch (error) {
    throw url.wrong(`sslCa cannot be read (${(error as NodeJS.ErrnoException).code}); check the path`)
  }
}
