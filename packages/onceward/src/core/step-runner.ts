import { OncewardError } from './errors.ts'
import { checkWork } from './known-fields.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { Operation } from './once-types.ts'
import type { Claim, OnCrash, StepRecord } from './operation.ts'
import { replay, valueOutcome } from './outcomes.ts'
import { persist } from './persist.ts'
import type { Engine, Policy } from './settings.ts'

/** The steps of one attempt. */
export interface StepRunner {
  readonly step: Operation['step']
  /** Whether a step that must not be repeated was begun and has not finished. */
  hasOpenHold(): boolean
  /** Whether the function of such a step has not even settled: the work has left it behind. */
  isHoldUnderWay(): boolean
  /** The work has ended: what it left behind begins no more steps. */
  end(): void
}

/** Makes what runs the steps of one claim. `steps` are those an earlier attempt has begun or finished. */
export function stepRunner(
  engine: Engine,
  policy: Policy,
  claim: Claim,
  keeper: LeaseKeeper,
  steps: readonly StepRecord[],
): StepRunner {
  const finished = new Map(steps.filter((step) => step.state === 'done').map((step) => [step.name, step]))
  const named = new Set<string>()
  const open = new Set<string>()
  const underWay = new Set<string>()
  let ended = false

  const checkpoint = async (step: StepRecord): Promise<void> => {
    const stored = await persist(engine, policy.leaseMs, claim.id, () => engine.store.checkpoint(claim, step))
    if (stored === 'applied') return
    if (stored === 'refused')
      throw new OncewardError('CLAIM_LOST', `step "${step.name}" lost the claim of its operation`)
    // Never `none`: even where this step has not begun, the work around it may have had effects.
    const effect = step.state === 'done' ? 'done' : 'unknown'
    throw new OncewardError('OUTCOME_NOT_STORED', `step "${step.name}" could not be remembered`, { effect })
  }

  // A finished step is never run again: where its value could not be stored, only a person can carry on.
  const finishedValue = (known: StepRecord): unknown => {
    if (known.value) return replay(claim.id, { kind: 'value', value: known.value }, policy.codec)
    open.add(known.name)
    throw new OncewardError(
      'OUTCOME_NOT_REPLAYABLE',
      `step "${known.name}" is done, but its value could not be stored`,
    )
  }

  const step = async <T>(
    name: string,
    fn: () => T | Promise<T>,
    options: { readonly onCrash?: OnCrash } = {},
  ): Promise<T> => {
    if (typeof name !== 'string' || name === '') throw new TypeError('a step needs a name')
    checkWork(`step "${name}"`, fn)
    if (named.has(name))
      throw new TypeError(`step "${name}" was run twice in one attempt; give each step its own name`)
    if (ended) throw begunTooLate(name)
    named.add(name)
    const known = finished.get(name)
    if (known) return finishedValue(known) as T
    keeper.signal.throwIfAborted()
    const onCrash = options.onCrash ?? policy.onCrash
    // Worth a round trip only where it changes what a crash means.
    if (onCrash === 'hold' && policy.onCrash === 'rerun')
      await checkpoint({ name, state: 'started', onCrash })
    if (ended) throw begunTooLate(name)
    if (onCrash === 'hold') open.add(name)
    if (onCrash === 'hold') underWay.add(name)
    const value = await settling(fn, () => underWay.delete(name))
    const outcome = valueOutcome({ id: claim.id, policy }, value, name)
    if (outcome.kind === 'unreplayable') {
      engine.emit('not-replayable', claim.id, { message: `step "${name}": ${outcome.reason}` })
    }
    await checkpoint({
      name,
      state: 'done',
      onCrash,
      ...(outcome.kind === 'value' ? { value: outcome.value } : {}),
    })
    open.delete(name)
    return value
  }

  return {
    step,
    hasOpenHold: () => open.size > 0,
    isHoldUnderWay: () => underWay.size > 0,
    end() {
      ended = true
    },
  }
}

async function settling<T>(fn: () => T | Promise<T>, settled: () => void): Promise<T> {
  try {
    return await fn()
  } finally {
    settled()
  }
}

/** Another attempt may be at the step by now. */
function begunTooLate(name: string): TypeError {
  return new TypeError(
    `step "${name}" was begun after its operation had ended; await all steps before the work returns or throws`,
  )
}
