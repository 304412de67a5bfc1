import { copyFile, rename, rm } from 'node:fs/promises'
import type { Backend } from './backend.ts'
import type { Library } from './library.ts'
import { sqliteBackend } from './sqlite-backend.ts'

/**
 * A power cut under `synchronous: 'normal'`, modelled by what SQLite allows at worst: nothing of the write-ahead log has
 * reached the disk since the last checkpoint. All workers die with the machine. A SIGKILL alone loses nothing.
 */
export async function sqliteNormalBackend(library: Library): Promise<Backend> {
  const behind = await sqliteBackend(library, { synchronous: 'normal' })
  return {
    ...behind,
    name: 'sqlite-normal',
    lossy: true,
    isOnWorkersMachine: true,
    faults: ['crash-point', 'reply-lost', 'power-cut'],
    get store() {
      return behind.store
    },
    async prepare(accounts) {
      await behind.prepare(accounts)
      behind.checkpoint()
    },
    strike: () =>
      behind.reopen(async (file) => {
        // Closing the last connection would write the log into the file, so the file is copied before and put back after.
        await copyFile(file, `${file}.disk`)
        return async () => {
          await rename(`${file}.disk`, file)
          for (const part of ['-wal', '-shm']) await rm(`${file}${part}`, { force: true })
        }
      }),
  }
}
