import { createRequire } from 'node:module'

/** The built-in driver, or on Node 20 the one with the same interface, as the library does. */
export function databaseClass() {
  const require = createRequire(import.meta.url)
  const builtIn = process.getBuiltinModule('node:sqlite')
  return /** @type {typeof import('@photostructure/sqlite')} */ (builtIn ?? require('@photostructure/sqlite'))
    .DatabaseSync
}
