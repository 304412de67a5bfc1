import { isLockTimeout, isRefusal, isSchemaMissing, pgFailure } from '../../drivers/pg/index.ts'
import { type Gatherer, gatherer, sqlStateOf, type Waiting } from '../../drivers/sql/index.ts'
import { closedError, type StoreContext } from './store-context.ts'

/**
 * Sends calls in batches once the store is ready. A batch that fails because of one of its calls (a record that
 * somebody's transaction has locked, a text that the database cannot hold) is halved until that call is alone.
 *
 * @param send - Sends a batch, and settles what it can answer. What it throws is told to those it left unsettled.
 * @param options.shared - Whether calls of one key may share a batch, see {@link gatherer}.
 */
export function sendBatches<Ask, Reply>(
  context: StoreContext,
  send: (batch: readonly Waiting<Ask, Reply>[]) => Promise<void>,
  { shared = false }: { readonly shared?: boolean } = {},
): Gatherer<Ask, Reply> {
  const { maxBatch, maxInFlight } = context.settings
  const attempt = async (batch: readonly Waiting<Ask, Reply>[]): Promise<void> => {
    try {
      await send(batch)
    } catch (error) {
      if (batch.length === 1 || !isOfOneCall(error)) throw error
      const middle = Math.ceil(batch.length / 2)
      await Promise.all([batch.slice(0, middle), batch.slice(middle)].map(settled))
    }
  }
  const settled = async (batch: readonly Waiting<Ask, Reply>[]): Promise<void> => {
    try {
      await attempt(batch)
    } catch (error) {
      const told = pgFailure(error, context.driver.where)
      for (const one of batch) one.reject(told)
    }
  }
  const gathered = gatherer<Ask, Reply>({
    maxBatch,
    maxInFlight,
    load: context.load,
    shared,
    async send(batch) {
      await settled(batch)
    },
  })
  return {
    idle: gathered.idle,
    call: (key, ask) => (context.isClosed() ? Promise.reject(closedError(context)) : gathered.call(key, ask)),
  }
}

/** Whether the others of the batch may fare better without one of them. */
function isOfOneCall(error: unknown): boolean {
  if (isLockTimeout(error)) return true
  if (!isRefusal(error) || isSchemaMissing(error)) return false
  // Data exceptions, integrity, limits of a statement: they are about what was sent.
  return /^(?:22|23|54)/.test(sqlStateOf(error) ?? '')
}
