import { isConflict } from './pg-errors.ts'

/** The part of an emitter that is used. */
export interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
}

/** What the server has said on a connection: whoever got an error from it, or ended a transaction, may keep it to himself. */
export interface ServerMessages {
  /** The first deadlock or serialization failure. */
  conflict(): unknown
  /** Whether a transaction has ended, though another one may have begun since. */
  ended(): boolean
  stop(): void
}

/** Listens to the `connection` of a client of `pg`. The native client has none: nothing is heard there. */
export function serverMessages(connection: Partial<Emitter> | undefined): ServerMessages {
  let conflict: unknown
  let begun = false
  let ended = false
  const onError = (message: unknown) => {
    if (isConflict(message)) conflict ??= message
  }
  const onComplete = (message: { readonly text?: unknown }) => {
    begun ||= message.text === 'BEGIN'
    ended ||= begun && message.text === 'COMMIT'
  }
  // A ROLLBACK may be one to a savepoint: what comes after it tells.
  const onReady = (message: { readonly status?: unknown }) => {
    ended ||= begun && message.status === 'I'
  }
  connection?.on?.('errorMessage', onError)
  connection?.on?.('commandComplete', onComplete)
  connection?.on?.('readyForQuery', onReady)
  return {
    conflict: () => conflict,
    ended: () => ended,
    stop() {
      connection?.removeListener?.('errorMessage', onError)
      connection?.removeListener?.('commandComplete', onComplete)
      connection?.removeListener?.('readyForQuery', onReady)
    },
  }
}
