import type { EventOf, Evidence } from './evidence.ts'
import { isStrict } from './plan.ts'

/** I1, steps that stay finished, truthful signals, exclusive questions. Answers how many effects were repeated. */
export function checkEffects(evidence: Evidence): number {
  const doubles = checkEffectCounts(evidence)
  if (evidence.lostTail) return doubles
  checkReleases(evidence)
  checkSteps(evidence)
  checkSignals(evidence)
  checkQuestions(evidence)
  checkRefusals(evidence)
  return doubles
}

function checkEffectCounts({ of, key, life, lostTail, report }: Evidence): number {
  const seen = new Map<string, EventOf<'effect'>>()
  let doubles = 0
  for (const effect of of('effect')) {
    const what = `${effect.op}#${effect.part} in life ${life(effect.op, effect.fence)}`
    const first = seen.get(what)
    if (first === undefined) {
      seen.set(what, effect)
      continue
    }
    doubles++
    const planned = key(effect.op)
    const once = isStrict(planned) || (planned?.holdingStep === true && effect.part === 'step1')
    if (once && !lostTail) {
      const message = `${what} had an effect in run ${first.run} and again in run ${effect.run}`
      report('I1: at most one effect', effect.at, message)
    }
  }
  return doubles
}

/** Giving an operation back says that nothing happened: then nothing may have. */
function checkReleases({ history, key, life, report }: Evidence): void {
  const effects = new Map<string, Set<string>>()
  for (const event of history) {
    if (event.kind === 'effect') {
      const lived = `${event.op} ${life(event.op, event.fence)}`
      effects.set(lived, (effects.get(lived) ?? new Set()).add(event.part))
    }
    if (event.kind !== 'write' || event.after.state !== 'released' || !isStrict(key(event.op))) continue
    const kept = new Set(event.after.steps.map(({ name }) => name))
    const lived = `${event.op} ${life(event.op, event.after.fence)}`
    const forgotten = [...(effects.get(lived) ?? [])].filter((part) => !kept.has(part))
    if (forgotten.length > 0) {
      report('I1: released means nothing happened', event.at, `${event.op} was given back after its effect`)
    }
  }
}

function checkSteps({ history, life, report }: Evidence): void {
  const finished = new Map<string, number>()
  for (const event of history) {
    if (event.kind === 'write') {
      for (const step of event.after.steps) {
        const name = `${event.op}#${step.name} ${life(event.op, event.after.fence)}`
        if (step.state === 'done' && !finished.has(name)) finished.set(name, event.after.fence)
      }
    }
    if (event.kind !== 'effect') continue
    const fence = finished.get(`${event.op}#${event.part} ${life(event.op, event.fence)}`)
    if (fence !== undefined && event.fence > fence) {
      report('steps: a finished step is not run again', event.at, `${event.op} ran ${event.part} again`)
    }
  }
}

function checkSignals({ of, undisturbed, report }: Evidence): void {
  // The first look of a run is made as it begins.
  const begins = new Set(of('begin').map(({ run }) => run))
  for (const { at, run, aborted, holds } of of('signal')) {
    if (!aborted && !holds) {
      report('I12: the signal aborts before the lease ends', at, `run ${run} believed in a claim it had lost`)
    }
    if (aborted && begins.has(run)) {
      report('I12: no work begins under a lost claim', at, `run ${run} began too late`)
    }
    begins.delete(run)
    if (aborted && undisturbed) {
      report('calm: a claim is not lost without a reason', at, `run ${run} was told to stop`)
    }
  }
}

function checkQuestions({ of, report }: Evidence): void {
  const asked = new Set<string>()
  for (const { at, op, fence, asks } of of('ask')) {
    const turn = `${op} ${fence} ${asks}`
    if (asked.has(turn)) report('reconcile: one asker at a time', at, `two asked turn ${asks} of ${op}`)
    asked.add(turn)
  }
}

/** Work that says that it had no effect is given back, never held. */
function checkRefusals({ of, report }: Evidence): void {
  const refused = new Set<string>()
  const begun = new Map(of('begin').map((begin) => [begin.run, begin]))
  for (const { run, threw } of of('end')) {
    const begin = threw?.includes(REFUSAL) ? begun.get(run) : undefined
    if (begin) refused.add(`${begin.op} ${begin.fence}`)
  }
  for (const { at, op, method, after } of of('write')) {
    if (method === 'hold' && refused.has(`${op} ${after.fence}`)) {
      report('effect: none is not held', at, `${op} was held although its work said that nothing happened`)
    }
  }
}

/** What the work throws, marked as without effect. */
const REFUSAL = 'own: refused before anything happened'
