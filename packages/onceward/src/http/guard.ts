import { ERRORS, type ErrorCode, OncewardError, type OncewardErrorOptions } from '../core/errors.ts'
import { admitter } from './admission.ts'
import { echoOf } from './answers.ts'
import type { GuardOptions } from './guard-options.ts'
import { settingsOf } from './guard-settings.ts'
import { createHandler } from './handling.ts'
import { problemAnswer } from './problem.ts'
import { outwardHeaders } from './response-headers.ts'
import type {
  Admission,
  Handling,
  HeaderPairs,
  HttpAnswer,
  KeyedRequest,
  RequestHead,
  SendAnswer,
} from './types.ts'

/** Decides about requests and runs them once, for one set of options. Every adapter and the gateway call the same one. */
export interface Guard {
  readonly maxBodyBytes: number
  readonly maxResponseBytes: number
  /** Decides from the head alone, without I/O. */
  admit(head: RequestHead): Admission
  /** Runs the work once, or answers what is stored. Rejects only with what the work itself threw. */
  handle(handling: Handling): Promise<HttpAnswer>
  /** The fields to send before a response that is passed through: `Onceward-Effect` gone, the key echoed. */
  passThroughHeaders(request: KeyedRequest, headers: HeaderPairs): HeaderPairs
  /** The answer for a request that the caller of the guard refuses, for example `BODY_TOO_LARGE`. */
  refuse(code: ErrorCode, detail?: string, options?: OncewardErrorOptions): SendAnswer
}

/**
 * Builds a {@link Guard}.
 *
 * @throws `TypeError` for options that make no sense, with the mend.
 */
export function createGuard(options: GuardOptions): Guard {
  const settings = settingsOf(options)
  return {
    maxBodyBytes: settings.maxBodyBytes,
    maxResponseBytes: settings.maxResponseBytes,
    admit: admitter(settings),
    handle: createHandler(settings),
    passThroughHeaders: (request, headers) => [...outwardHeaders(headers), ...echoOf(request)],
    refuse: (code, detail, errorOptions) =>
      problemAnswer(new OncewardError(code, detail, errorOptions), { summary: ERRORS[code].summary }),
  }
}
