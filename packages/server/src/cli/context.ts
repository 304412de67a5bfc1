import { DEFAULTS } from '../config/gateway-options.ts'
import { loadConfig } from '../config/load-config.ts'
import { type CatalogStore, createStore } from '../store/create-store.ts'

/** What a command is given by the process it runs in. */
export interface CommandContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The folder relative paths start from. */
  readonly folder: string
  out(text: string): void
  err(text: string): void
}

/** The options all commands on a store share. */
export interface StoreOptions {
  readonly store?: string
  readonly config?: string
  readonly json?: boolean
}

/**
 * Opens the store that flags, environment or file name, runs `work` on it and closes it.
 *
 * @throws `CommandError`, and what the store throws: its messages name the file and the mend.
 */
export async function withStore<T>(
  context: CommandContext,
  options: StoreOptions,
  create: boolean,
  work: (store: CatalogStore) => Promise<T>,
): Promise<T> {
  const { config } = await loadConfig({
    flags: options.store === undefined ? {} : { store: options.store },
    environment: context.environment,
    folder: context.folder,
    ...(options.config === undefined ? {} : { file: options.config }),
  })
  const store = await createStore(config.store ?? DEFAULTS.store ?? '', { create })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
