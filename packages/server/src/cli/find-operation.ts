import type { OperationRecord } from 'onceward'
import { CommandError, EXIT, usageError } from '../exit-codes.ts'
import type { CatalogStore } from '../store/catalog-store.ts'
import { printable } from './printable.ts'

/** The fewest characters of an id that are looked up. */
const LEAST = 6

/** The most candidates that are named for a beginning that several ids have. */
const MOST_NAMED = 5

/**
 * Finds the one operation whose id is or starts with `id`.
 *
 * @throws `CommandError`: usage for a beginning that is too short, not found, and conflict, with the candidates, for one
 *   that several operations have.
 */
export async function findOperation(store: CatalogStore, id: string): Promise<OperationRecord> {
  if (id.length < LEAST) {
    throw usageError(
      `${printable(id)}: is too short for an id; give at least ${LEAST} characters of it, from onceward ls`,
    )
  }
  if (/^[A-Za-z0-9_-]{6,43}$/.test(id)) {
    const record = await store.find(id)
    if (record !== undefined) return record
    const candidates = await startingWith(store, id)
    if (candidates.length > 1) {
      const named = candidates.slice(0, MOST_NAMED).map(({ id: { digest } }) => digest)
      const more = candidates.length > MOST_NAMED ? ', and more' : ''
      throw new CommandError(
        EXIT.conflict,
        `${id}: is the beginning of several ids (${named.join(', ')}${more}); give more of the one you mean`,
      )
    }
  }
  throw new CommandError(EXIT.notFound, `no operation has the id ${printable(id)}; take one from onceward ls`)
}

/** Reads the whole store where it must: an operator waits rather than guesses. */
async function startingWith(store: CatalogStore, prefix: string): Promise<readonly OperationRecord[]> {
  const found: OperationRecord[] = []
  let cursor: string | undefined
  do {
    const page = await store.list({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) })
    found.push(...page.records.filter(({ id }) => id.digest.startsWith(prefix)))
    cursor = page.cursor
  } while (cursor !== undefined && found.length <= MOST_NAMED)
  return found
}
