import type { OperationRecord } from 'onceward'
import { CommandError, EXIT } from '../exit-codes.ts'
import type { CatalogStore } from '../store/create-store.ts'
import { printable } from './printable.ts'

/** Finds the one operation whose id is or starts with `id`. @throws `CommandError` (not found). */
export async function findOperation(store: CatalogStore, id: string): Promise<OperationRecord> {
  const record = /^[A-Za-z0-9_-]{6,43}$/.test(id) ? await store.find(id) : undefined
  if (record === undefined) {
    throw new CommandError(
      EXIT.notFound,
      `no operation, or more than one, has the id ${printable(id)}; take one from onceward ls (at least 6 characters)`,
    )
  }
  return record
}
