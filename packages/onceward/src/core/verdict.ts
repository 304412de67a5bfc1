import { currentFrame, type Frame } from './context.ts'
import { isOncewardError } from './errors.ts'
import type { Effect } from './operation.ts'

/** Marks an error as thrown before anything happened: the operation is released and may run again. */
export function noEffect<E extends object>(error: E): E {
  return mark(error, { kind: 'no-effect' })
}

/**
 * Marks an error as the operation's outcome: it is stored, and every duplicate fails the same way.
 *
 * @param options.effect - Whether the effect may have happened all the same. Default `none`.
 */
export function finalFailure<E extends object>(error: E, options: { readonly effect?: Effect } = {}): E {
  return mark(error, { kind: 'final', effect: options.effect ?? 'none' })
}

/** What {@link noEffect} or {@link finalFailure} said about an error; an error with `effect: 'none'` says it by itself. */
export type Verdict = { readonly kind: 'no-effect' } | { readonly kind: 'final'; readonly effect: Effect }

/**
 * Reads the verdict on what was thrown: what it says of the operation of `frame` (default: the one around the caller),
 * not of one that was nested in it.
 */
export function verdictOn(error: unknown, frame: Frame | undefined = currentFrame()): Verdict | undefined {
  try {
    if (typeof error !== 'object' || error === null || frame?.crossed?.has(error)) return undefined
    const { [VERDICT]: marked, [REPORTED]: reported } = error as { [VERDICT]?: Verdict; [REPORTED]?: true }
    if (marked) return marked
    return !reported && isOncewardError(error) && error.effect === 'none' ? { kind: 'no-effect' } : undefined
  } catch {
    return undefined
  }
}

/**
 * Notes that an error has come out of a call of the library: its `effect` is that of this call. Work that lets it
 * through has said nothing of its own effect. The note is on the error, so it also counts where the frame is not to be
 * seen: in another copy of the library, or behind a pool that loses the async context.
 */
export function reported(error: unknown): void {
  if (isOncewardError(error) && Object.isExtensible(error)) {
    Object.defineProperty(error, REPORTED, { value: true, enumerable: false, configurable: true })
  }
}

const VERDICT = Symbol.for('onceward.verdict')
const REPORTED = Symbol.for('onceward.reported')

function mark<E extends object>(error: E, verdict: Verdict): E {
  if (typeof error !== 'object' || error === null)
    throw new TypeError('mark an error object, not a bare value')
  if (!Object.isExtensible(error))
    throw new TypeError('the error is frozen and cannot be marked; wrap it in new Error(message, { cause })')
  // Said here and now, it is about the operation around, wherever the error came from.
  currentFrame()?.crossed?.delete(error)
  Object.defineProperty(error, VERDICT, {
    value: verdict,
    enumerable: false,
    configurable: true,
    writable: true,
  })
  return error
}
