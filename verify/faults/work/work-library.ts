import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { createDedupe } from 'onceward/dedupe'
import type { createInbox } from 'onceward/inbox'
import type { createOutbox } from 'onceward/outbox'
import type { insertOnce, transition, updateVersioned, withRow } from 'onceward/sql'
import type { createTasks } from 'onceward/tasks'
import type { createTokens } from 'onceward/tokens'
import { type Library, loadLibrary } from '../library.ts'

/** A SQLite database, as far as it is used. */
export interface SqliteFile {
  exec(sql: string): unknown
  prepare(sql: string): { run(...values: unknown[]): unknown; all(...values: unknown[]): unknown[] }
  close(): void
}

/** What a worker needs of a built library, so that a mutated copy can take the place of the real one. */
export interface WorkLibrary extends Library {
  readonly createTokens: typeof createTokens
  readonly createTasks: typeof createTasks
  readonly createInbox: typeof createInbox
  readonly createOutbox: typeof createOutbox
  readonly createDedupe: typeof createDedupe
  readonly guards: {
    readonly transition: typeof transition
    readonly updateVersioned: typeof updateVersioned
    readonly withRow: typeof withRow
    readonly insertOnce: typeof insertOnce
  }
  readonly openSqlite: (path: string) => SqliteFile
}

/** Loads the built library of a folder. */
export async function loadWorkLibrary(folder: string): Promise<WorkLibrary> {
  const load = (...path: string[]) => import(pathToFileURL(join(resolve(folder), ...path)).href)
  const [library, tokens, tasks, inbox, outbox, dedupe, guards, sqlite] = await Promise.all([
    loadLibrary(folder),
    load('tokens', 'index.js'),
    load('tasks', 'index.js'),
    load('inbox', 'index.js'),
    load('outbox', 'index.js'),
    load('dedupe', 'index.js'),
    load('sql', 'index.js'),
    load('drivers', 'sqlite', 'index.js'),
  ])
  return {
    ...library,
    createTokens: tokens.createTokens,
    createTasks: tasks.createTasks,
    createInbox: inbox.createInbox,
    createOutbox: outbox.createOutbox,
    createDedupe: dedupe.createDedupe,
    guards,
    openSqlite: sqlite.openSqlite,
  }
}
