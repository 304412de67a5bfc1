import assert from 'node:assert/strict'
import type { OperationRecord } from '../../core/operation.ts'
import type { ListQuery, OperationCatalog, OperationStore } from '../../core/store.ts'

/** A store with its catalog. */
export type CatalogStore = OperationStore & OperationCatalog

/** Reads every page of a listing. */
export async function allPages(store: CatalogStore, query: ListQuery): Promise<readonly OperationRecord[]> {
  const records: OperationRecord[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 1000; pages++) {
    const page = await store.list({ ...query, ...(cursor === undefined ? {} : { cursor }) })
    records.push(...page.records)
    cursor = page.cursor
    if (cursor === undefined) return records
  }
  return assert.fail('paging comes to an end')
}

/** The keys of records, sorted. */
export function keysOf(records: readonly OperationRecord[]): readonly string[] {
  return records.map((record) => record.id.key).sort()
}
