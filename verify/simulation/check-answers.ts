import type { EventOf, Evidence } from './evidence.ts'

/** Errors that say that the work of their caller was not even begun. */
const NOT_BEGUN = new Set([
  'STORE_UNAVAILABLE',
  'IN_PROGRESS',
  'ABORTED',
  'KEY_REUSED',
  'CLOSED',
  'REENTRANT',
])

/** Errors that nobody may see while nothing goes wrong. */
const DISTURBED = new Set([
  'STORE_UNAVAILABLE',
  'CLAIM_LOST',
  'OUTCOME_NOT_STORED',
  'RECORD_CORRUPT',
  'CLOSED',
])

/** I2, I3, I4, and errors that tell the truth about their effect. */
export function checkAnswers(evidence: Evidence): void {
  checkValues(evidence)
  checkAgreement(evidence)
  checkRetention(evidence)
  checkErrors(evidence)
}

/** Every value that somebody got was made by effects of that operation and input, and had been stored before. */
function checkValues({ of, calls, history, lostTail, report }: Evidence): void {
  const made = new Set(of('effect').map(({ value }) => value))
  const done = new Set<string>()
  for (const event of history) {
    if (event.kind === 'write' && event.after.state === 'done') done.add(event.op)
    if (event.kind !== 'answer') continue
    const call = calls.get(event.call)
    if (call === undefined) continue
    for (const value of event.value.split(' ')) {
      if (!made.has(value))
        report('I2: an answer has an effect', event.at, `call ${call.call} got "${value}"`)
      else if (!value.startsWith(`${call.op}|${call.input}|`)) {
        const message = `call ${call.call} of ${call.op} with input ${call.input} got "${value}"`
        report('I4: no answer of another input or scope', event.at, message)
      }
    }
    if (!done.has(call.op) && !lostTail) {
      report('I2: an answer is stored before it is told', event.at, `call ${call.call} of ${call.op}`)
    }
  }
}

/** All who were told how one operation ended were told the same. */
function checkAgreement({ history, of, key, life, calls, lostTail, report }: Evidence): void {
  if (lostTail) return
  const lives = new Map(of('effect').map(({ value, op, fence }) => [value, life(op, fence)]))
  const told = new Map<string, { readonly value?: string; readonly failure?: string }>()
  for (const event of history) {
    if (event.kind !== 'answer' && event.kind !== 'error') continue
    const name = calls.get(event.call)?.op
    if (name === undefined) continue
    // What a forgotten operation told belongs to another life than what it tells now; failures do not show which.
    const forgets = key(name)?.retentionMs !== undefined
    if (forgets && event.kind === 'error') continue
    const op =
      event.kind === 'answer' ? `${name} ${lives.get(event.value.split(' ').at(-1) ?? '') ?? 0}` : `${name} 0`
    const outcome =
      event.kind === 'answer'
        ? { value: event.value }
        : event.code === 'OPERATION_FAILED'
          ? { failure: event.message }
          : undefined
    if (outcome === undefined) continue
    const first = told.get(op)
    if (first === undefined) told.set(op, outcome)
    else if (first.value !== outcome.value || first.failure !== outcome.failure) {
      const message = `${op} told ${JSON.stringify(first)} and ${JSON.stringify(outcome)}`
      report('I3: all answers are equal', event.at, message)
    }
  }
}

/** An outcome is not told for longer than it was asked to be remembered, plus the way of the last reply. */
function checkRetention({ of, calls, key, undisturbed, report }: Evidence): void {
  if (!undisturbed) return
  const fences = new Map(of('effect').map(({ value, fence }) => [value, fence]))
  const endedAt = new Map<number, number>()
  for (const { at, after } of of('write')) if (after.state === 'done') endedAt.set(after.fence, at)
  for (const { at, call, value } of of('answer')) {
    const retentionMs = key(calls.get(call)?.op ?? '')?.retentionMs
    const ended = endedAt.get(fences.get(value.split(' ').at(-1) ?? '') ?? -1)
    if (retentionMs === undefined || ended === undefined) continue
    if (at > ended + retentionMs + REPLY_MS) {
      report(
        'retention: a forgotten outcome is not told',
        at,
        `call ${call} got "${value}" ${at - ended} ms after its end`,
      )
    }
  }
}

/** More than a reply takes, with one lost and asked for again, in ms. */
const REPLY_MS = 100

function checkErrors(evidence: Evidence): void {
  const { of, calls, undisturbed, history, report } = evidence
  const begun = new Set(of('begin').map(({ call }) => call))
  const acted = new Set(of('effect').map(({ call }) => call))
  const effects = new Set(of('effect').map(({ op }) => op))
  const calledBy = new Map(of('begin').map(({ run, call }) => [run, call]))
  const threw = new Set(
    of('end')
      .filter((end) => end.threw !== undefined)
      .map(({ run }) => calledBy.get(run)),
  )
  const held = new Set<string>()
  for (const event of history) {
    if (event.kind === 'write' && event.after.state === 'held') held.add(event.op)
    if (event.kind !== 'error') continue
    const call = calls.get(event.call)
    if (call === undefined) continue
    const tell = (rule: string) => report(rule, event.at, told(event, call))
    if (event.code === undefined) {
      if (!event.own) tell('errors: nobody gets an error from inside the library')
      else if (!begun.has(call.call) && evidence.key(call.op))
        tell('errors: the own error of work that was not run')
      continue
    }
    // What came out of an operation nested in the work keeps its code, and must not pass for one of work never begun.
    if (NOT_BEGUN.has(event.code) && begun.has(call.call) && event.effect !== 'unknown')
      tell('effect: the work was begun all the same')
    if (event.effect === 'none' && acted.has(call.call)) tell('effect: "none", and yet it had one')
    if (event.effect === 'done' && !effects.has(call.op)) tell('effect: "done", and yet there is none')
    if (event.code === 'KEY_REUSED' && !hasOtherInput(evidence, call, event.at))
      tell('I4: nobody used another input')
    if (event.code === 'OUTCOME_UNKNOWN' && !held.has(call.op) && !begun.has(call.call))
      tell('I9: it was never held')
    if (event.code === 'OUTCOME_NOT_REPLAYABLE' && !effects.has(call.op))
      tell('I2: an outcome without an effect')
    // Given back or held by a request whose reply was lost, it may have gone on before its end was asked about again.
    const movedOn = event.code === 'CLAIM_LOST' && threw.has(call.call)
    if (undisturbed && !movedOn && DISTURBED.has(event.code)) tell('calm: an error without a reason')
  }
}

function hasOtherInput({ of }: Evidence, call: EventOf<'call'>, until: number): boolean {
  return of('call').some((other) => other.op === call.op && other.input !== call.input && other.at <= until)
}

function told(event: EventOf<'error'>, call: EventOf<'call'>): string {
  const { code = 'its own error', effect = 'unsaid' } = event
  return `call ${call.call} of ${call.op} got ${code} (effect ${effect}): ${event.message}`
}
