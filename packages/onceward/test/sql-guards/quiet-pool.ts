import pg from 'pg'

/**
 * A pool of `pg` for a database that is dropped after its end: `end` answers before the connections are closed, and those are told
 * by the server then.
 */
export function quietPool(url: string, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max })
  pool.on('error', () => {})
  pool.on('connect', (client) => void client.on('error', () => {}))
  return pool
}
