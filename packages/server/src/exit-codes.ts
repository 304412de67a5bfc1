import { isOncewardError } from 'onceward'

/** The exit codes of every command. */
export const EXIT: {
  readonly ok: 0
  readonly failure: 1
  readonly usage: 2
  readonly notFound: 3
  readonly conflict: 4
  readonly store: 5
} = {
  ok: 0,
  /** Something went wrong that none of the others names. */
  failure: 1,
  /** An option, an argument or the configuration is wrong. */
  usage: 2,
  /** No such operation. */
  notFound: 3,
  /** The operation has moved on since it was read. */
  conflict: 4,
  /** The store cannot be reached, or cannot be used as it is. */
  store: 5,
}

/** An error for the person at the terminal: one line that names the mend, and the exit code of the process. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError'
  readonly exitCode: number

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** A wrong option, argument or configuration. */
export function usageError(message: string): CommandError {
  return new CommandError(EXIT.usage, message)
}

/** The word for an exit code, in errors printed as JSON. */
export function kindOf(exitCode: number): string {
  const name = Object.entries(EXIT).find(([, code]) => code === exitCode)?.[0] ?? 'failure'
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The exit code that fits `error`: errors of a store are 5, whatever is wrong with it. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode
  if (isOncewardError(error)) {
    return error.code.startsWith('STORE_') || error.code.startsWith('SCHEMA_') ? EXIT.store : EXIT.failure
  }
  return EXIT.failure
}
