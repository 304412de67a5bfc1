import { DEFAULTS } from '../config/gateway-options.ts'
import { loadConfig } from '../config/load-config.ts'
import type { CatalogStore } from '../store/catalog-store.ts'
import { createStore } from '../store/create-store.ts'

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
  readonly encryptionKeyFile?: string
  /** A cache is looked at by the doctor only: a person who looks wants to see what the store holds. */
  readonly cache?: string
}

/**
 * Opens the store that flags, environment or file name, runs `work` on it and closes it. `create` makes a file that is
 * not there, `withCache` puts the cache before it that is configured.
 *
 * @throws `CommandError`, and what the store throws: its messages name the file and the mend.
 */
export async function withStore<T>(
  context: CommandContext,
  options: StoreOptions,
  { create = false, withCache = false }: { readonly create?: boolean; readonly withCache?: boolean },
  work: (store: CatalogStore, url: string) => Promise<T>,
): Promise<T> {
  const { config } = await loadConfig({
    flags: given(options),
    environment: context.environment,
    folder: context.folder,
    ...(options.config === undefined ? {} : { file: options.config }),
  })
  const url = config.store ?? DEFAULTS.store ?? ''
  const { encryptionKeyFile, encryption = 'on' } = config
  const store = await createStore(url, {
    create,
    encryption,
    ...(encryptionKeyFile === undefined ? {} : { encryptionKeyFile }),
    ...(withCache && config.cache !== undefined ? { cache: config.cache } : {}),
  })
  try {
    return await work(store, url)
  } finally {
    await store.close()
  }
}

function given({ store, encryptionKeyFile, cache }: StoreOptions): Record<string, string> {
  return {
    ...(store === undefined ? {} : { store }),
    ...(encryptionKeyFile === undefined ? {} : { encryptionKeyFile }),
    ...(cache === undefined ? {} : { cache }),
  }
}
