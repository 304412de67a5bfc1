import type { Backend } from './backend.ts'
import { type Library, loadLibrary } from './library.ts'
import { mariadbBackend } from './mariadb-backend.ts'
import { postgresBackend } from './postgres-backend.ts'
import { redisBackend } from './redis-backend.ts'
import { shardedBackend } from './sharded-backend.ts'
import { sqliteBackend } from './sqlite-backend.ts'
import { tieredBackend } from './tiered-backend.ts'

/** How each store is started. */
export const BACKENDS: Readonly<Record<string, (library: Library) => Promise<Backend>>> = {
  sqlite: (library) => sqliteBackend(library),
  redis: redisBackend,
  postgres: (library) => postgresBackend(library, 'pg'),
  porsager: (library) => postgresBackend(library, 'postgres'),
  mariadb: mariadbBackend,
  tiered: tieredBackend,
  sharded: shardedBackend,
}

/** Starts the servers of a store, or tells why it cannot be had here. */
export async function startBackend(
  name: string,
  library: string,
): Promise<{ readonly backend: Backend } | { readonly missing: string }> {
  const start = BACKENDS[name]
  if (start === undefined) return { missing: `there is no store ${name}` }
  try {
    return { backend: await start(await loadLibrary(library)) }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ServerMissing') throw error
    return { missing: error.message }
  }
}
