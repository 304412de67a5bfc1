import { OncewardError } from '../core/errors.ts'
import { commandRefused, scriptFailure } from './command-errors.ts'
import type { GuardContext, GuardedOperation } from './guard-context.ts'
import { type DecodedReply, decodeReply, type ReplyForm } from './reply-codec.ts'

/** What an answer of the guarding script means. */
export type Verdict =
  /** Executed, now or before. The reply begins at byte 1. */
  | { readonly kind: 'done'; readonly reply: Buffer; readonly replayed: boolean }
  /** Never executed, and never will be under this deadline. */
  | { readonly kind: 'late'; readonly serverMs: number }
  /** The server does not take it now; nothing was executed. */
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'over'; readonly error: Error }

/** Reads an answer. `sentBefore`: whether an earlier attempt may have been executed. */
export function answerOf(
  context: GuardContext,
  operation: GuardedOperation,
  bytes: Buffer,
  sentBefore: boolean,
): Verdict {
  const maybe = sentBefore || operation.named
  switch (String.fromCharCode(bytes[0] ?? 0)) {
    case 'd':
      return { kind: 'done', reply: bytes, replayed: false }
    case 'r':
      return { kind: 'done', reply: bytes, replayed: true }
    case 'x':
      return { kind: 'late', serverMs: Number(bytes.toString('latin1', 1)) }
    case 'E':
      return { kind: 'refused', text: bytes.toString('utf8', 1).replace(/^-/, '') }
    case 'e':
      return over(refusedByScript(context, operation, bytes.toString('utf8', 1)))
    case 'n':
      return over(
        new OncewardError(
          'OUTCOME_NOT_REPLAYABLE',
          `${operation.name} was executed, and its reply cannot be told again: it was larger than ${context.options.maxReplyBytes} bytes, or a number that could not be read exactly`,
        ),
      )
    case 'k':
      return over(
        new OncewardError(
          'KEY_REUSED',
          'this opId was used for another command or other arguments; nothing was executed now. Use a new opId for a new operation',
        ),
      )
    case 'f':
      return over(foreignMarker(context, operation, maybe ? 'unknown' : 'none'))
    case '?':
      // So long after its beginning an absent marker may be an expired one, if anything was sent.
      return sentBefore
        ? over(ambiguous(context, operation, undefined))
        : { kind: 'late', serverMs: Number(bytes.toString('latin1', 1)) }
    default:
      return over(ambiguous(context, operation, undefined))
  }
}

/**
 * Reads the reply of what was executed.
 *
 * @throws `STORE_CORRUPT` (effect unknown) for what no script of ours has kept.
 */
export function replyOf(
  context: GuardContext,
  operation: GuardedOperation,
  encoded: Buffer,
  form: ReplyForm,
): DecodedReply {
  try {
    return decodeReply(encoded, 1, form)
  } catch (thrown) {
    if (thrown instanceof RangeError) throw foreignMarker(context, operation, 'unknown')
    throw thrown
  }
}

function foreignMarker(
  { open }: GuardContext,
  { marker }: GuardedOperation,
  effect: 'none' | 'unknown',
): OncewardError {
  return new OncewardError(
    'STORE_CORRUPT',
    `${open.link.where} holds something else under ${marker}, where the operation is remembered; nothing was executed now. Give the wrapper a prefix of its own and delete that key`,
    { effect },
  )
}

/** The end of what nobody can tell. */
export function ambiguous(
  { open, options }: Pick<GuardContext, 'open' | 'options'>,
  { name, named }: Pick<GuardedOperation, 'name' | 'named'>,
  cause: unknown,
): OncewardError {
  const mend = named
    ? `repeat it under the same opId within ${options.retentionMs} ms to learn it`
    : 'look at what it would have changed before you send it again'
  return new OncewardError(
    'AMBIGUOUS_RESULT',
    `${name} was sent to ${open.link.where} and no reply came back: it may have been executed; ${mend}`,
    cause === undefined ? {} : { cause },
  )
}

/** What the server says of commands in scripts differs from what it says of the same commands alone. */
function refusedByScript(context: GuardContext, { name }: GuardedOperation, text: string): Error {
  if (/wrong number of args/i.test(text))
    return commandRefused(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
  if (/Unknown Redis command/i.test(text)) return commandRefused(`ERR unknown command '${name}'`)
  return scriptFailure(context.open, text)
}

function over(error: Error): Verdict {
  return { kind: 'over', error }
}
