import { createOnce } from 'onceward'
import { sqliteStore } from 'onceward/sqlite'

/**
 * The options of our middleware, as the README shows them.
 *
 * @param {string} file
 * @param {'full' | 'normal'} synchronous
 */
export async function idempotent(file, synchronous) {
  const store = sqliteStore(file, { synchronous })
  return { once: createOnce({ store, scope: 'payments' }), scope: /** @type {const} */ ('public') }
}
