import { callerScope, type OperationRecord, type OperationState } from 'onceward'
import { usageError } from '../exit-codes.ts'
import { NAMESPACE } from '../gateway/namespace.ts'
import type { CatalogStore } from '../store/catalog-store.ts'
import { type CommandContext, type StoreOptions, withStore } from './context.ts'
import { operationView, shortAge, shownState } from './operation-view.ts'
import { clipped, printable } from './printable.ts'

/** Options of `onceward ls`. */
export interface ListOptions extends StoreOptions {
  readonly state?: string
  readonly scope?: string
  readonly keyPrefix?: string
  readonly limit: string
}

const STATES: readonly string[] = ['running', 'done', 'held', 'released']

/** `onceward ls`: one operation a line, newest first. */
export async function list(context: CommandContext, options: ListOptions): Promise<void> {
  if (options.state !== undefined && !STATES.includes(options.state)) {
    throw usageError(`--state ${printable(options.state)}: give one of ${STATES.join(', ')}`)
  }
  const limit = Number(options.limit)
  if (!Number.isInteger(limit) || limit < 1)
    throw usageError(`--limit ${printable(options.limit)}: give a whole number from 1`)
  await withStore(context, options, {}, async (store) => {
    await settleLapsed(store)
    const { records, more } = await collect(store, options, limit)
    const now = Date.now()
    const views = records.map((record) => operationView(record, now, false))
    if (options.json) return context.out(`${JSON.stringify(views, null, 2)}\n`)
    for (const view of views) {
      const columns = [
        view.id.slice(0, SHOWN_ID),
        clipped(printable(view.scope), 48),
        clipped(printable(view.key), 96),
        shownState(view),
        String(view.attempt),
        String(view.fence),
        shortAge(view.ageMs),
      ]
      context.out(`${columns.join('  ')}\n`)
    }
    if (more) context.err(`onceward: there are more; ask for them with --limit ${limit * 10}\n`)
    return undefined
  })
}

/** How much of an id is shown: enough to be unique in any store, short enough to read. */
export const SHOWN_ID = 16

/**
 * Turns claims that have lapsed into held ones, so that the list tells the truth when no gateway is there to do so.
 * A store that cannot be written to is listed as it is.
 */
async function settleLapsed(store: CatalogStore): Promise<void> {
  try {
    await store.sweep()
  } catch {
    // The listing tells whether the store can be read at all.
  }
}

async function collect(
  store: CatalogStore,
  options: ListOptions,
  limit: number,
): Promise<{ readonly records: readonly OperationRecord[]; readonly more: boolean }> {
  // A scope is named as it is stored, or by the caller alone, as gateways are told it.
  const scopes =
    options.scope === undefined ? [undefined] : [options.scope, callerScope(NAMESPACE, options.scope)]
  const records: OperationRecord[] = []
  for (const scope of scopes) {
    let cursor: string | undefined
    do {
      const page = await store.list({
        ...(options.state === undefined ? {} : { state: options.state as OperationState }),
        ...(scope === undefined ? {} : { scope }),
        ...(options.keyPrefix === undefined ? {} : { keyPrefix: options.keyPrefix }),
        ...(cursor === undefined ? {} : { cursor }),
        limit: Math.min(1000, limit - records.length),
      })
      records.push(...page.records)
      cursor = page.cursor
      if (records.length >= limit) return { records, more: cursor !== undefined }
    } while (cursor !== undefined)
  }
  return { records, more: false }
}
