import { type Evidence, groupBy } from './evidence.ts'
import { canaryOf, type Mode } from './plan.ts'

/** Ways to be safe in which an acknowledged operation has had exactly one effect. */
const EXACTLY_ONCE = new Set<Mode | undefined>(['downstream', 'transaction'])

const CANARY = /canary<[^>]*>/g

/** I2, I3, I4, and errors that tell the truth about their effect. */
export function checkAnswers(evidence: Evidence): void {
  checkAcknowledged(evidence)
  checkAgreement(evidence)
  checkCanaries(evidence)
  checkErrors(evidence)
}

/** I2: every acknowledged key has an effect, and the answer names it. */
function checkAcknowledged({ of, calls, effects, modeOf, lossy, report }: Evidence): void {
  const made = new Map(effects.map((effect) => [effect.nonce, effect]))
  const byOp = groupBy(effects, ({ op }) => op)
  const told = new Set<string>()
  for (const { call, value } of of('answer')) {
    const op = calls.get(call)?.op
    if (op === undefined) continue
    const { nonces } = JSON.parse(value) as { readonly nonces: readonly string[] }
    for (const nonce of nonces) {
      const effect = made.get(nonce)
      if (effect === undefined) {
        // Business rows live in the store, and are lost with it.
        if (!lossy)
          report(
            'I2: an answer has an effect',
            `call ${call} of ${op} was told of ${nonce}, which nobody made`,
          )
      } else if (effect.op !== op)
        report('I2: an answer has an effect', `call ${call} of ${op} got one of ${effect.op}`)
    }
    if (told.has(op)) continue
    told.add(op)
    const count = byOp.get(op)?.length ?? 0
    if (EXACTLY_ONCE.has(modeOf(op)) && count !== 1 && !lossy) {
      report('I2: exactly one effect of what was acknowledged', `${op} (${modeOf(op)}) has ${count}`)
    }
  }
}

/** I3: all who were told how an operation ended were told the same, byte by byte. */
function checkAgreement({ of, calls, lossy, report }: Evidence): void {
  if (lossy) return
  const told = new Map<string, { readonly call: string; readonly outcome: string }>()
  const tell = (call: string, outcome: string) => {
    const op = calls.get(call)?.op
    if (op === undefined) return
    const first = told.get(op)
    if (first === undefined) told.set(op, { call, outcome })
    else if (first.outcome !== outcome)
      report(
        'I3: all answers are equal',
        `${op}: call ${first.call} got ${first.outcome}, call ${call} got ${outcome}`,
      )
  }
  for (const { call, value } of of('answer')) tell(call, value)
  for (const { call, code, message } of of('error'))
    if (code === 'OPERATION_FAILED') tell(call, `failed: ${message}`)
}

/** I4: nobody sees anything of another operation or another input. */
function checkCanaries({ of, calls, report }: Evidence): void {
  const look = (call: string, text: string) => {
    const asked = calls.get(call)
    if (asked === undefined) return
    const own = canaryOf(asked.op, asked.input)
    for (const seen of text.match(CANARY) ?? []) {
      if (seen !== own) report('I4: no byte of another input or scope', `call ${call} of ${own} saw ${seen}`)
    }
  }
  for (const { call, value } of of('answer')) look(call, value)
  for (const { call, message } of of('error')) look(call, message)
}

/** Errors that say that the work of this very call was not begun, or had no effect. */
function checkErrors({ of, calls, effects, lossy, report }: Evidence): void {
  const byCall = groupBy(effects, ({ call }) => call)
  const byOp = groupBy(effects, ({ op }) => op)
  for (const { call, code, effect, message, own } of of('error')) {
    const op = calls.get(call)?.op
    if (op === undefined) continue
    if (code === undefined && !own)
      report('errors: nobody gets an error from inside the library', `${call}: ${message}`)
    if (effect === 'none' && byCall.has(call))
      report('errors: "none", and yet it had an effect', `call ${call} of ${op} got ${code}: ${message}`)
    if (effect === 'done' && !byOp.has(op) && !lossy)
      report('errors: "done", and yet there is none', `call ${call} of ${op} got ${code}: ${message}`)
  }
}
