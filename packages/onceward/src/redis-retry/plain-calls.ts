import { pause } from '../core/pause.ts'
import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import { commandRefused, passes, scriptFailure } from './command-errors.ts'
import { ambiguous } from './guard-answers.ts'
import type { GuardContext } from './guard-context.ts'
import { retryPauseMs } from './retry-pause.ts'

/** A command that is sent as it is. */
export interface PlainCommand {
  readonly name: string
  readonly words: readonly RedisArgument[]
  /** In a cluster: a key of the node that is to be asked. */
  readonly key: RedisArgument | undefined
  readonly form: 'own' | 'bytes'
  /** Whether it changes something. */
  readonly writes: boolean
  /** How long it waits by its own words, in ms, if it does. */
  readonly waitsMs: number | undefined
  /** Whether an error reply leaves open what it did: it runs code, moves keys elsewhere, or is not known. */
  readonly writesBeforeItFails: boolean
}

/** Error replies by which a command was refused as a whole, whatever it is. */
const NEVER_RUN =
  /^(?:NOSCRIPT|NOPERM|NOAUTH|OOM|READONLY|MISCONF|MOVED|ASK|CROSSSLOT|TRYAGAIN|CLUSTERDOWN|LOADING|BUSY|MASTERDOWN|NOREPLICAS) |^ERR unknown (?:sub)?command|^ERR wrong number of arguments/i

/** The most that timers take, in ms. */
const FOR_EVER_MS = 2 ** 31 - 1

/**
 * Sends a command until it is answered or its deadline has passed: one that may be executed any number of times.
 *
 * Of a write that was sent and not answered the end is unknown, whatever later attempts were told.
 */
export async function repeatedCall(
  context: GuardContext,
  command: PlainCommand,
  begun: number,
): Promise<unknown> {
  const { attempts, clock, events, open, options, random, timers } = context
  const until = begun + options.deadlineMs
  let written = false
  const ended = (error: Error) =>
    written ? ambiguous(context, { name: command.name, named: false }, error) : error
  for (let attempt = 1; ; attempt++) {
    const left = until - clock.monotonic()
    const attempted = await attempts.make(
      Math.max(1, Math.min(options.attemptTimeoutMs, left)),
      (link, signal) => link.sendPlain(command.words, command.key, command.form, signal),
      { takesBack: command.writes },
    )
    if (attempted.kind === 'replied') return attempted.reply
    let error: Error
    if (attempted.kind === 'failed') {
      error = attempted.error
      written ||= command.writes && attempted.sent
      if (attempted.closed === true) throw ended(error)
    } else {
      const { text } = attempted
      if (!passes(text, open.link.topology))
        throw commandRefused(text, attempted.error, written ? 'unknown' : 'none')
      error = scriptFailure(open, text, attempted.error)
    }
    const still = until - clock.monotonic()
    if (still <= 0) throw ended(error)
    await pause({ timers }, Math.min(retryPauseMs(random, attempt), still))
    events.retry(command.name, attempt + 1, error)
  }
}

/** Sends a command once. When its reply is lost nobody knows what became of it. */
export async function singleCall(
  context: GuardContext,
  command: PlainCommand,
  begun: number,
): Promise<unknown> {
  const { attempts, clock, options } = context
  const left = Math.max(1, begun + options.deadlineMs - clock.monotonic())
  const { waitsMs } = command
  const ended = await attempts.make(
    waitsMs === undefined ? left : Math.min(waitsMs + options.attemptTimeoutMs, FOR_EVER_MS),
    (link, signal) => link.sendPlain(command.words, command.key, command.form, signal),
    { takesBack: true, connectMs: waitsMs === undefined ? undefined : left },
  )
  if (ended.kind === 'replied') return ended.reply
  if (ended.kind === 'failed') {
    if (!ended.sent) throw ended.error
    throw ambiguous(context, { name: command.name, named: false }, ended.error)
  }
  const ran = command.writesBeforeItFails && !NEVER_RUN.test(ended.text)
  throw commandRefused(ended.text, ended.error, ran ? 'unknown' : 'none')
}
