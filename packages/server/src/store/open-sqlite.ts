import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { withoutCredentials } from '../config/print-config.ts'
import { CommandError, EXIT, usageError } from '../exit-codes.ts'
import type { CatalogStore, OpenOptions } from './catalog-store.ts'

/** The file a `sqlite:` URL names: `sqlite:a.db`, `sqlite:./a.db`, `sqlite:/a.db`, `sqlite:///a.db`. */
export function fileOf(url: string): string {
  const rest = url.slice(url.indexOf(':') + 1)
  const file = rest.startsWith('///') ? rest.slice(2) : rest
  if (file === '' || file.startsWith('//')) {
    throw usageError(
      `--store ${withoutCredentials(url)}: names no file; give sqlite:FILE, such as sqlite:onceward.sqlite`,
    )
  }
  return file
}

/** Opens a store in a SQLite file. @throws `CommandError` (store) when the file is not there and is not to be made. */
export async function openSqliteStore(url: string, options: OpenOptions): Promise<CatalogStore> {
  const file = fileOf(url)
  if (file !== ':memory:') {
    if (options.create) await makeFolder(file, options)
    else await assertThere(file)
  }
  // Loaded when it is used: commands on other stores do not need the driver to be there.
  const { sqliteStore } = await import('onceward/sqlite')
  // Commands that look must not change what they look at; the gateway and `migrate` bring the schema up to date.
  return sqliteStore(file, { create: options.create, autoMigrate: options.create })
}

async function makeFolder(file: string, options: OpenOptions): Promise<void> {
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
