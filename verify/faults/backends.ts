import type { Backend } from './backend.ts'
import { type Started, startedStage } from './harness/servers.ts'
import { type Library, loadLibrary } from './library.ts'
import { postgresAsyncBackend } from './lossy-postgres-backend.ts'
import { redisEverysecBackend, redisFailoverBackend } from './lossy-redis-backends.ts'
import { sqliteNormalBackend } from './lossy-sqlite-backend.ts'
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

/** Stores that are known to lose acknowledged writes under their fault: `run-losses.ts` measures how much. */
export const LOSSY_BACKENDS: Readonly<Record<string, (library: Library) => Promise<Backend>>> = {
  'redis-failover': redisFailoverBackend,
  'redis-everysec': redisEverysecBackend,
  'postgres-async-commit': postgresAsyncBackend,
  'sqlite-normal': sqliteNormalBackend,
}

/** Starts the servers of a store, or tells why it cannot be had here. */
export async function startBackend(name: string, library: string): Promise<Started<Backend>> {
  const start = BACKENDS[name] ?? LOSSY_BACKENDS[name]
  if (start === undefined) return { missing: `there is no store ${name}` }
  const loaded = await loadLibrary(library)
  return startedStage(() => start(loaded))
}
