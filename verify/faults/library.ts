import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
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

/** The factory of a store. @throws `Error` when the library has none of this name. */
export async function factoryOf(library: Library, folder: string, name: string): Promise<StoreFactory> {
  const factory = (await library.store(folder))[name]
  if (factory === undefined) throw new Error(`the library has no ${name}`)
  return factory
}

/** The folders that trials use. */
const PARTS = [
  'core',
  'drivers',
  'stores',
  'locks',
  'testing',
  'tokens',
  'tasks',
  'inbox',
  'outbox',
  'dedupe',
  'sql',
]

/**
 * Copies a built library, so that building it anew meanwhile changes nothing. The copy lies inside the repository, where
 * it finds the drivers that the library loads on demand.
 */
export async function copyLibrary(folder: string, root: string): Promise<string> {
  const cache = join(root, 'node_modules', '.cache')
  await mkdir(cache, { recursive: true })
  const copy = await mkdtemp(join(cache, 'onceward-library-'))
  for (const part of PARTS) {
    await cp(join(folder, part), join(copy, part), { recursive: true })
  }
  await writeFile(join(copy, 'package.json'), '{ "type": "module" }')
  return copy
}
