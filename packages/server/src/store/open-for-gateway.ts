import type { Logger } from 'pino'
import type { GatewayOptions } from '../config/gateway-options.ts'
import { withoutCredentials } from '../config/print-config.ts'
import type { CatalogStore } from './catalog-store.ts'
import { createStore, isForgetful, migratesItself } from './create-store.ts'
import { takesWrites } from './takes-writes.ts'

/**
 * Opens the store of a gateway, brings its schema up to date where that is its own or asked for, and makes sure that it
 * can be used.
 *
 * @throws `CommandError` and errors of the store, each with the mend; nothing stays open then.
 */
export async function openForGateway(options: GatewayOptions, log: Logger): Promise<CatalogStore> {
  const url = options.store
  const { cache, encryptionKeyFile, encryption } = options
  const store = await createStore(url, {
    create: true,
    onFolderMade: (folder) => log.info({ folder }, 'the folder of the store was not there: made'),
    onConnection: (state, message) => {
      if (state === 'lost')
        log.warn({ store: message }, 'the connection to the store is lost; it is tried again')
      else log.info({ store: message }, 'the connection to the store is back')
    },
    onCache: ({ type, message }) => {
      if (type === 'cache-opened')
        log.warn({ reason: message }, 'the cache is left alone; the store answers everything')
      else if (type === 'cache-closed') log.info('the cache is used again')
    },
    encryption,
    ...(cache === undefined ? {} : { cache }),
    ...(encryptionKeyFile === undefined ? {} : { encryptionKeyFile }),
  })
  if (isForgetful(url))
    log.warn({ store: url }, 'the store is in memory: all is forgotten when the gateway ends')
  try {
    if (migratesItself(url) || options.migrate) {
      const applied = await store.migrate()
      if (options.migrate && applied.length > 0)
        log.info({ store: withoutCredentials(url), applied }, 'the schema was brought up to date')
    }
    // The first call connects, and finds out what is wrong: password, database, schema, rights.
    await takesWrites(store)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}
