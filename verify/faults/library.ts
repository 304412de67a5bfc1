import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type {
  createOnce,
  finalFailure,
  isOncewardError,
  noEffect,
  OperationCatalog,
  OperationStore,
} from 'onceward'
import type { faultPoints } from 'onceward/testing'

/** The library as it was built, seen from the repository's root. */
export const DEFAULT_LIBRARY = 'packages/onceward/dist'

/** What a worker needs of a built library, so that a mutated copy can take the place of the real one. */
export interface Library {
  readonly createOnce: typeof createOnce
  readonly noEffect: typeof noEffect
  readonly finalFailure: typeof finalFailure
  readonly isOncewardError: typeof isOncewardError
  readonly faultPoints: typeof faultPoints
  /** Loads a store by the name of its folder. */
  store(name: string): Promise<Readonly<Record<string, StoreFactory>>>
}

/** A store with a catalog, as all of ours are. */
export type CataloguedStore = OperationStore & OperationCatalog

/** Makes a store of whatever its kind needs. */
export type StoreFactory = (...args: readonly unknown[]) => CataloguedStore

/** Loads the built library of a folder. */
export async function loadLibrary(folder: string): Promise<Library> {
  const load = (...path: string[]) => import(pathToFileURL(join(resolve(folder), ...path)).href)
  const { createOnce, noEffect, finalFailure, isOncewardError } = await load('core', 'index.js')
  const { faultPoints } = await load('testing', 'fault-points.js')
  if (createOnce === undefined) throw new Error(`${folder} holds no built library; run tsc -b first`)
  return {
    createOnce,
    noEffect,
    finalFailure,
    isOncewardError,
    faultPoints,
    store: (name) => load('stores', name, 'index.js'),
  }
}
