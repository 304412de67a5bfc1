import { hash } from 'node:crypto'
import { checkedLimit, MAX_PAGE } from '../core/catalog-query.ts'
import { operationId } from '../core/identity.ts'
import { refuseUnknown, written } from '../core/known-fields.ts'
import { nextTurn } from '../core/next-turn.ts'
import { createEmitter } from '../core/observer.ts'
import type { OperationId } from '../core/operation.ts'
import { MAX_MARKED } from '../core/seen-items.ts'
import { askStore, type Repeating } from './ask-store.ts'
import { dedupeSettings } from './dedupe-settings.ts'
import type { Dedupe, DedupeOptions, Item, SightOptions } from './dedupe-types.ts'
import { aboutItem, keyOfItem } from './key-of-item.ts'
import { singleSights } from './single-sights.ts'

/** What an item is known by. */
type KeyOf<T> = (item: T, index: number) => Item | Promise<Item>

/** So many items are digested, or told of, in one turn of the event loop: a few ms. While a list is long others have their turn. */
const TURN = 1000

/**
 * Makes a dedupe: it tells which items are seen for the first time within a window.
 *
 * Guarantee: of all callers that are shown an item within its window, in all processes that share the store, one is told that
 * it is new. Limit: the item is marked before the work, so a crash between the two loses it. For work that must happen use
 * `once.run`, or the inbox, which marks in the same transaction.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * import { createDedupe } from 'onceward/dedupe'
 *
 * const dedupe = createDedupe({ store, scope: 'newsletter', windowMs: 86_400_000 })
 * const fresh = await dedupe.filterNew(['ada@example.com', 'bob@example.com'])
 */
export function createDedupe(options: DedupeOptions): Dedupe {
  const { seen, scope, windowMs, sliding, retries, observer, timers, random } = dedupeSettings(options)
  const emit = createEmitter(observer)
  const counts = { seen: 0, first: 0, suppressed: 0, forgotten: 0, retried: 0 }
  const repeating: Repeating = { retries, timers, random, onRetry: () => void counts.retried++ }

  const idOf = (key: string) => operationId(scope, key)
  const freshMarkId = () => nonceOf(random.nonce())
  const mark = (
    digests: readonly string[],
    markId: string,
    isList = digests.length > 1,
  ): Promise<readonly boolean[]> =>
    askStore(repeating, isList, () => seen.mark({ digests, markId, windowMs, sliding }))
  const singles = singleSights((digests) => mark(digests, freshMarkId()))

  const told = (id: OperationId, isFirst: boolean): boolean => {
    counts.seen++
    if (isFirst) counts.first++
    else {
      counts.suppressed++
      emit('suppressed', id)
    }
    return isFirst
  }
  const idsOf = async <T>(list: readonly T[], keyOf?: KeyOf<T>): Promise<OperationId[]> => {
    const ids: OperationId[] = []
    for (const item of list) {
      if (ids.length % TURN === TURN - 1) await nextTurn()
      const known = keyOf === undefined ? (item as Item) : await Promise.resolve(keyOf(item, ids.length))
      try {
        const key = keyOfItem(known)
        ids.push(idOf(typeof key === 'string' ? key : await key))
      } catch (error) {
        throw aboutItem(ids.length, error)
      }
    }
    return ids
  }
  /** Asks in parts that a store takes at once. */
  const inParts = async (
    digests: readonly string[],
    ask: (part: readonly string[]) => Promise<readonly boolean[]>,
  ): Promise<readonly boolean[]> => {
    const answers: boolean[] = []
    for (let from = 0; from < digests.length; from += MAX_MARKED) {
      if (from > 0) await nextTurn()
      for (const answer of await ask(digests.slice(from, from + MAX_MARKED))) answers.push(answer)
    }
    return answers
  }

  return {
    async firstTime(item, sight) {
      const markId = markIdOf('firstTime', sight, scope)
      const id = idOf(await keyOfItem(item))
      if (markId === undefined) return told(id, await singles.sight(id.digest))
      const [isFirst = false] = await mark([id.digest], markId)
      return told(id, isFirst)
    },
    async filterNew<T>(
      items: Iterable<T>,
      keyOfOrSight?: KeyOf<T> | SightOptions,
      given?: SightOptions,
    ): Promise<T[]> {
      if (typeof keyOfOrSight === 'string')
        throw new TypeError(
          `keyOf must be a function, such as (item) => item.id, not ${written(keyOfOrSight)}`,
        )
      const [keyOf, sight] =
        typeof keyOfOrSight === 'function' ? [keyOfOrSight, given] : [undefined, given ?? keyOfOrSight]
      const markId = markIdOf('filterNew', sight, scope) ?? freshMarkId()
      const list = listOf('filterNew', items)
      const ids = await idsOf(list, keyOf)
      const digests = await digestsOf(ids)
      const answers = await inParts(digests, (part) => mark(part, markId, digests.length > 1))
      const fresh: T[] = []
      let place = 0
      for (const [index, id] of ids.entries()) {
        if (index % TURN === TURN - 1) await nextTurn()
        // The first of several equal items stands for all of them.
        const isFirst = id.digest === digests[place] && answers[place++] === true
        if (told(id, isFirst)) fresh.push(list[index] as T)
      }
      return fresh
    },
    async forget(items) {
      const ids = await idsOf(listOf('forget', items))
      const digests = await digestsOf(ids)
      const answers = await inParts(digests, (part) => askStore(repeating, true, () => seen.forget(part)))
      singles.forget(digests)
      const forgotten = answers.filter((one) => one).length
      counts.forgotten += forgotten
      return forgotten
    },
    purge: async (limit) => seen.purge(checkedLimit(limit ?? MAX_PAGE)),
    stats: () => ({ ...counts }),
  }
}

/** The digests, each once, in the order of their first sight. */
async function digestsOf(ids: readonly OperationId[]): Promise<readonly string[]> {
  const known = new Set<string>()
  for (const [index, { digest }] of ids.entries()) {
    if (index % TURN === TURN - 1) await nextTurn()
    known.add(digest)
  }
  return [...known]
}

/** 12 bytes, base64url, of whatever names a sight. */
function nonceOf(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 16)
}

/** @throws `TypeError` for options that make no sense. */
function markIdOf(where: string, sight: SightOptions | undefined, scope: string): string | undefined {
  if (sight === undefined) return undefined
  if (typeof sight === 'function')
    throw new TypeError(`${where} runs no work; use once.run, which remembers what became of it`)
  refuseUnknown(where, sight, ['markId'])
  const { markId } = sight
  if (markId === undefined) return undefined
  if (typeof markId !== 'string' || markId === '')
    throw new TypeError(`markId must be a text that names this sight, not ${written(markId)}`)
  return nonceOf(operationId(scope, markId).digest)
}

/** @throws `TypeError` for what is no list of items. */
function listOf<T>(where: string, items: Iterable<T>): readonly T[] {
  if (
    typeof items === 'object' &&
    items !== null &&
    Symbol.iterator in items &&
    !(items instanceof Uint8Array)
  )
    return [...items]
  throw new TypeError(`${where} needs a list of items, not ${written(items)}`)
}
