import { readFile } from 'node:fs/promises'
import { type CatalogStore, closingToo, type OpenOptions } from './catalog-store.ts'
import { connectionNews } from './connection-trouble.ts'
import { choiceOf, numberOf, onlyHost, parseStoreUrl, type StoreUrl } from './store-url.ts'

/** The schemes of PostgreSQL. */
export const POSTGRES_SCHEMES: readonly string[] = ['postgres', 'postgresql']

const PARAMETERS = ['schema', 'poolSize', 'sslmode', 'sslrootcert', 'host', 'prepare', 'listen']

/** How many connections one process uses at most. */
const POOL_SIZE = 10

/** How long a new connection may take, in ms. */
const CONNECT_MS = 5000

/** Opens a store on PostgreSQL. Nothing is connected before the first call. @throws `CommandError` (usage). */
export async function openPostgresStore(given: string, options: OpenOptions): Promise<CatalogStore> {
  const url = parseStoreUrl('--store', given, PARAMETERS)
  const schema = url.parameter('schema')
  if (schema !== undefined && !/^[a-z_][a-z0-9_]{0,39}$/.test(schema))
    throw url.wrong('schema must be up to 40 letters, digits and underscores in lower case')
  const { host, port = 5432 } = url.hosts.length === 0 ? { host: 'localhost' } : onlyHost(url)
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    host: url.parameter('host') ?? host,
    port,
    ...(url.user === undefined ? {} : { user: url.user }),
    ...(url.password === undefined ? {} : { password: url.password }),
    ...(url.path === '' ? {} : { database: url.path }),
    ssl: await sslOf(url),
    max: numberOf(url, 'poolSize', 2, 1000) ?? POOL_SIZE,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: 'onceward',
    keepAlive: true,
  })
  const news = connectionNews(url.shown, options.onConnection)
  // Without a listener a connection that dies while it is idle would end the process.
  pool.on('error', news.lost)
  pool.on('connect', (client) => {
    news.back()
    // The pool tells of idle ones only, and a busy process may have none.
    client.on('error', news.lost)
  })
  const { postgresStore } = await import('onceward/postgres')
  const store = postgresStore(pool, {
    ...(schema === undefined ? {} : { schema }),
    ...flagOf(url, 'prepare'),
    ...flagOf(url, 'listen'),
  })
  return closingToo(store, () => pool.end())
}

function flagOf(url: StoreUrl, name: 'prepare' | 'listen'): { readonly [flag: string]: boolean } {
  const choice = choiceOf(url, name, ['true', 'false'])
  return choice === undefined ? {} : { [name]: choice === 'true' }
}

/** `require` checks the certificate too: encryption without knowing the other side keeps nobody out. */
async function sslOf(url: StoreUrl): Promise<false | { rejectUnauthorized: boolean; ca?: string }> {
  const mode = choiceOf(url, 'sslmode', ['disable', 'no-verify', 'require', 'verify-ca', 'verify-full'])
  const file = url.parameter('sslrootcert')
  if (mode === undefined && file === undefined) return false
  if (mode === 'disable') return false
  if (mode === 'no-verify') return { rejectUnauthorized: false }
  return { rejectUnauthorized: true, ...(file === undefined ? {} : { ca: await authority(url, file) }) }
}

async function authority(url: StoreUrl, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw url.wrong(`sslrootcert cannot be read (${(error as NodeJS.ErrnoException).code}); check the path`)
  }
}
