import type { Backend } from './backend.ts'
import type { Library } from './library.ts'
import { postgresBackend } from './postgres-backend.ts'

/**
 * A SIGKILL of all of PostgreSQL under `synchronous_commit = off`: what its log writer had not yet written, for up to
 * three times `wal_writer_delay` (200 ms), was in the server's own memory and is gone. Nothing has to be modelled.
 */
export async function postgresAsyncBackend(library: Library): Promise<Backend> {
  const behind = await postgresBackend(library, 'pg', { synchronous_commit: 'off' })
  return {
    ...behind,
    name: 'postgres-async-commit',
    lossy: true,
    faults: ['crash-point', 'reply-lost', 'power-cut'],
    get store() {
      return behind.store
    },
    strike: (fault) => behind.strike({ ...fault, kind: 'store-kill' }),
  }
}
