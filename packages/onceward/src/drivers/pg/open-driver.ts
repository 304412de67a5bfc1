import { isPgPool, nodePostgres, type PgPoolHandle } from './node-postgres.ts'
import type { PgDriver, PgDriverOptions } from './pg-driver.ts'
import { isPorsager, type PorsagerHandle, porsager } from './porsager.ts'

/** A pool of either driver. */
export type PostgresPool = PgPoolHandle | PorsagerHandle

/** Recognises the driver of a pool. @throws `TypeError` with the mend for anything else. */
export function pgDriver(pool: unknown, options: PgDriverOptions): PgDriver {
  if (isPgPool(pool)) return nodePostgres(pool, options)
  if (isPorsager(pool)) return porsager(pool, options)
  throw new TypeError(refusal(pool, options.user ?? 'postgresStore'))
}

function refusal(given: unknown, user: string): string {
  const wanted = `${user} needs a pool: \`new pg.Pool({ connectionString })\`, or \`postgres(url)\``
  if (typeof given === 'string') return `${wanted}; it was given a text. Open the pool and pass it`
  if (typeof given === 'function' && 'unsafe' in given) {
    return `${wanted}; it was given the \`sql\` of a transaction. Pass the root \`sql\`, and join a transaction by once.within(tx, …)`
  }
  if (typeof given === 'object' && given !== null && 'query' in given && 'connect' in given) {
    return `${wanted}; it was given a single client. Pass the pool, and join a transaction of a client by once.within(client, …)`
  }
  return wanted
}
