import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { OperationCatalog, OperationStore } from 'onceward'
import { memoryStore } from 'onceward/memory'
import { withoutCredentials } from '../config/print-config.ts'
import { CommandError, EXIT, usageError } from '../exit-codes.ts'

/** A store the gateway and the commands can work with. */
export type CatalogStore = OperationStore & OperationCatalog

/** How a store is opened. */
export interface CreateStoreOptions {
  /** Makes the file and its folder when they are not there. Without it, a missing file is an error. */
  readonly create: boolean
  /** Told of a folder that had to be made for the file. */
  readonly onFolderMade?: (folder: string) => void
}

/**
 * Opens the store that `url` names: `sqlite:FILE`, or `memory:` for tests.
 *
 * @throws `CommandError`: usage for a URL that is none of these, store when the file is not there.
 */
export async function createStore(url: string, options: CreateStoreOptions): Promise<CatalogStore> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  switch (scheme) {
    case 'memory':
      return memoryStore()
    case 'sqlite':
      return openSqlite(fileOf(url), options)
    case 'redis':
    case 'rediss':
    case 'postgres':
    case 'postgresql':
    case 'mysql':
    case 'mariadb':
      throw usageError(
        `--store ${withoutCredentials(url)}: ${scheme} is not available yet; use sqlite:FILE for now`,
      )
    default:
      throw usageError(`--store ${withoutCredentials(url)}: is not a store; give sqlite:FILE`)
  }
}

/** The file a `sqlite:` URL names: `sqlite:a.db`, `sqlite:./a.db`, `sqlite:/a.db`, `sqlite:///a.db`. */
export function fileOf(url: string): string {
  const rest = url.slice(url.indexOf(':') + 1)
  const file = rest.startsWith('///') ? rest.slice(2) : rest
  if (file === '' || file.startsWith('//')) {
    throw usageError(`--store ${url}: names no file; give sqlite:FILE, such as sqlite:onceward.sqlite`)
  }
  return file
}

/** Whether what `url` names is gone with the process. */
export function isForgetful(url: string): boolean {
  return /^(?:memory:|sqlite::memory:)/i.test(url)
}

async function openSqlite(file: string, options: CreateStoreOptions): Promise<CatalogStore> {
  if (file !== ':memory:') {
    if (options.create) await makeFolder(file, options)
    else await assertThere(file)
  }
  // Loaded when it is used: commands on other stores do not need the driver to be there.
  const { sqliteStore } = await import('onceward/sqlite')
  // Commands that look must not change what they look at; the gateway and `migrate` bring the schema up to date.
  return sqliteStore(file, { create: options.create, autoMigrate: options.create })
}

async function makeFolder(file: string, options: CreateStoreOptions): Promise<void> {
  try {
    const made = await mkdir(dirname(file), { recursive: true })
    if (made !== undefined) options.onFolderMade?.(resolve(dirname(file)))
  } catch (error) {
    throw new CommandError(
      EXIT.store,
      `--store sqlite:${file}: its folder cannot be made (${(error as NodeJS.ErrnoException).code}); choose a folder that can be written to`,
    )
  }
}

async function assertThere(file: string): Promise<void> {
  try {
    await stat(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const mend =
      code === 'ENOENT'
        ? 'there is no such file; check the path, or make it with onceward migrate'
        : `cannot be read (${code})`
    throw new CommandError(EXIT.store, `--store sqlite:${file}: ${mend}`)
  }
}
