import type { CheckedCommand } from './checked-command.ts'
import { repeatsAsIt, waitsMs } from './command-table.ts'
import type { PlainCommand } from './plain-calls.ts'
import type { CheckedRetryOptions } from './retry-options.ts'

/** How a command is sent: `guarded` by the script; as it is, `again` until it is answered; or as it is `once`. */
export type Sending = 'guarded' | 'again' | 'once'

/** Commands whose error reply leaves open what they did: they run code, or move keys elsewhere. */
const WRITES_BEFORE_IT_FAILS: ReadonlySet<string> = new Set(['EVAL', 'EVALSHA', 'FCALL', 'MIGRATE'])

/**
 * How a command is to be sent.
 *
 * @throws `TypeError` for an `opId` with a command that may change something and cannot be guarded.
 */
export function sendingOf(
  { name, words, entry }: CheckedCommand,
  mode: CheckedRetryOptions['mode'],
  opId: string | undefined,
): Sending {
  if (entry === undefined || entry.class === 'once' || waitsMs(entry, words) !== undefined) {
    if (opId === undefined || entry?.class === 'read') return 'once'
    throw new TypeError(`exec cannot guard ${name}, so an opId would promise what is not kept; leave it out`)
  }
  if (entry.class === 'read') return 'again'
  // Who names an operation wants to learn later what became of it, which only a marker tells.
  return mode === 'fast' && opId === undefined && repeatsAsIt(entry, words) ? 'again' : 'guarded'
}

/** A command as it is sent without the script. */
export function plainCommand({ name, words, entry }: CheckedCommand, bulk: 'text' | 'bytes'): PlainCommand {
  return {
    name,
    words,
    key: entry?.keysOf(words)[0],
    form: bulk === 'bytes' ? 'bytes' : 'own',
    writes: entry?.class !== 'read',
    waitsMs: waitsMs(entry, words),
    writesBeforeItFails: entry === undefined || WRITES_BEFORE_IT_FAILS.has(name),
  }
}
