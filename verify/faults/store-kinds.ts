import type { WriteBusiness } from './business.ts'
import type { CataloguedStore, Library } from './library.ts'
import { openSqliteStore } from './open-sqlite-store.ts'

/** Where the store of a trial is, as a worker is told; it travels between processes. */
export type StoreAddress = {
  readonly kind: 'sqlite'
  readonly file: string
  readonly synchronous: 'full' | 'normal'
}

/** A store as a worker uses it. */
export interface OpenedStore {
  readonly store: CataloguedStore
  /** Absent where the store cannot join a transaction. */
  readonly write?: WriteBusiness
  /** Leaves the store without room, or gives it room again. */
  fill?(full: boolean): void
  /** Closes the store and what was opened for it. */
  close(): Promise<void>
}

/** Opens a store with one of the drivers that users bring. */
export type OpenStore<A> = (library: Library, address: A) => Promise<OpenedStore>

const OPEN: { readonly [K in StoreAddress['kind']]: OpenStore<Extract<StoreAddress, { kind: K }>> } = {
  sqlite: openSqliteStore,
}

/** Opens the store at an address. */
export function openStore(library: Library, address: StoreAddress): Promise<OpenedStore> {
  return OPEN[address.kind](library, address as never)
}
