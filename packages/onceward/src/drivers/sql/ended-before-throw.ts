import { errorNote } from '../../core/error-note.ts'
import { isOncewardError, OncewardError } from '../../core/errors.ts'

/** What is told where work has thrown and its transaction had ended before: what it wrote until then may be committed. */
export function endedBeforeThrow(error: unknown): OncewardError {
  // It says so already.
  if (isOncewardError(error) && error.effect === 'unknown') return error
  return new OncewardError(
    'OUTCOME_UNKNOWN',
    'the work has ended its transaction, so what it wrote until then may be committed, and then it threw; leave COMMIT, ROLLBACK and ' +
      'what commits by itself (CREATE TABLE on MySQL) out of it, and let a deadlock through, which ends the transaction too. ' +
      `It threw: ${errorNote(error)}`,
    { cause: error, effect: 'unknown' },
  )
}
