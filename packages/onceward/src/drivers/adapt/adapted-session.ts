import type { SqlDialect, SqlSession } from '../sql/sql-session.ts'

/** A transaction of somebody else's package, as a session. */
export interface AdaptedSession extends SqlSession {
  /** What the handle itself knows of its transaction; nothing where only the server can tell. */
  isOpen?(): boolean | undefined
  /** Runs `body` under a savepoint of the package's own making, where a plain statement would not do. */
  savepoint?<T>(body: (inner: SqlSession) => Promise<T>): Promise<T>
}

/** A handle that was not looked at yet. */
export type Handle = Readonly<Record<PropertyKey, unknown>>

/**
 * Recognises the handles of one package by their shape: answers the session of a transaction, nothing for a handle of
 * another package.
 *
 * @param open - Adapts what lies below: the connection of the driver that a query builder or ORM has wrapped.
 * @throws `TypeError` that names the mend, for a pool or another root on which no transaction is open.
 */
export type Adapter = (
  handle: Handle,
  dialect: SqlDialect,
  open: (driver: unknown) => AdaptedSession,
) => AdaptedSession | undefined

/** Whether the handle has all of these methods. */
export function can(handle: Handle, ...methods: readonly string[]): boolean {
  return methods.every((method) => typeof handle[method] === 'function')
}

/** A handle, or nothing for what cannot be one. */
export function asHandle(value: unknown): Handle | undefined {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
    ? (value as Handle)
    : undefined
}

/** The refusal of a root, with the mend for this very package. */
export function noTransaction(what: string, mend: string, cause?: unknown): TypeError {
  return new TypeError(`no transaction is open on ${what}; ${mend}`, cause === undefined ? {} : { cause })
}

/** A session on a connection that its package hands out asynchronously. */
export function deferredSession(
  dialect: SqlDialect,
  connection: () => Promise<AdaptedSession>,
  isOpen: () => boolean | undefined,
): AdaptedSession {
  return { dialect, isOpen, query: async (text, values) => (await connection()).query(text, values) }
}
