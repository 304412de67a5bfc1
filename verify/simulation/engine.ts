import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type {
  AuditEntry,
  finalFailure,
  isOncewardError,
  noEffect,
  Once,
  OnceOptions,
  OperationRecord,
  OperationStore,
} from 'onceward'

/** The record to write, if any, and the answer to give. */
export interface Transition<Reply> {
  readonly write?: OperationRecord
  readonly reply: Reply
  readonly audit?: AuditEntry
}

/** Runs one transition as one atomic step. */
export type Atomically = <Reply>(
  digest: string,
  step: (found: OperationRecord | undefined, now: number) => Transition<Reply>,
) => Promise<Reply>

/** The methods of a store that are one transition each. */
export type TransitionMethods = Pick<
  OperationStore,
  'claim' | 'renew' | 'checkpoint' | 'complete' | 'release' | 'hold' | 'get' | 'takeTurn' | 'resolve'
>

/** What the simulation needs of a built library. */
export interface EngineModules {
  readonly createOnce: (options: OnceOptions) => Once
  readonly noEffect: typeof noEffect
  readonly finalFailure: typeof finalFailure
  readonly isOncewardError: typeof isOncewardError
  readonly transitionMethods: (atomically: Atomically) => TransitionMethods
  readonly sweep: (record: OperationRecord, now: number) => OperationRecord | undefined
}

/** The library as it was built, seen from the repository's root. */
export const DEFAULT_ENGINE = 'packages/onceward/dist'

/** Loads the built library of a folder, so that a mutated copy can take the place of the real one. */
export async function loadEngine(folder: string): Promise<EngineModules> {
  const load = async (file: string, names: readonly string[]) => {
    const module = await import(pathToFileURL(join(resolve(folder), 'core', file)).href)
    return Object.fromEntries(
      names.map((name) => {
        if (module[name] === undefined)
          throw new Error(`${file} has no ${name}; build the library first (tsc -b)`)
        return [name, module[name]]
      }),
    )
  }
  return {
    ...(await load('index.js', ['createOnce', 'noEffect', 'finalFailure', 'isOncewardError'])),
    ...(await load('transition-port.js', ['transitionMethods'])),
    ...(await load('transitions.js', ['sweep'])),
  } as unknown as EngineModules
}
