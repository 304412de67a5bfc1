import { OncewardError } from './errors.ts'
import { checkWork } from './known-fields.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { Operation } from './once-types.ts'
import type { Claim, StepRecord } from './operation.ts'
import { replay, valueOutcome } from './outcomes.ts'
import { persist } from './persist.ts'
import type { Engine, Policy } from './settings.ts'

/** One attempt at an operation: what works under a claim needs to know. */
export interface ClaimedRun {
  readonly engine: Engine
  readonly policy: Policy
  readonly claim: Claim
  readonly keeper: LeaseKeeper
}

/** What is known of the steps of one attempt. */
interface Steps {
  /** Those that an earlier attempt has finished. */
  readonly finished: ReadonlyMap<string, StepRecord>
  readonly named: Set<string>
  readonly open: Set<string>
  readonly underWay: Set<string>
}

/** Runs the steps of one claim. */
export class StepRunner {
  readonly #run: ClaimedRun
  readonly #earlier: readonly StepRecord[]
  // Most work has no steps.
  #begun: Steps | undefined
  #ended = false

  /** @param earlier - Those that an earlier attempt has begun or finished. */
  constructor(run: ClaimedRun, earlier: readonly StepRecord[]) {
    this.#run = run
    this.#earlier = earlier
  }

  /** {@link Operation.step}; it may be taken off. */
  readonly step: Operation['step'] = async (name, fn, options = {}) => {
    if (typeof name !== 'string' || name === '') throw new TypeError('a step needs a name')
    checkWork(`step "${name}"`, fn)
    this.#begun ??= beginning(this.#earlier)
    const { finished, named, open, underWay } = this.#begun
    if (named.has(name))
      throw new TypeError(`step "${name}" was run twice in one attempt; give each step its own name`)
    if (this.#ended) throw begunTooLate(name)
    named.add(name)
    const known = finished.get(name)
    if (known) return this.#finishedValue(known, open) as Awaited<ReturnType<typeof fn>>
    const { engine, policy, claim, keeper } = this.#run
    keeper.signal.throwIfAborted()
    const onCrash = options.onCrash ?? policy.onCrash
    // Worth a round trip only where it changes what a crash means.
    if (onCrash === 'hold' && policy.onCrash === 'rerun')
      await this.#checkpoint({ name, state: 'started', onCrash })
    if (this.#ended) throw begunTooLate(name)
    if (onCrash === 'hold') open.add(name)
    if (onCrash === 'hold') underWay.add(name)
    const value = await settling(fn, () => underWay.delete(name))
    const outcome = valueOutcome({ id: claim.id, policy }, value, name)
    if (outcome.kind === 'unreplayable') {
      engine.emit('not-replayable', claim.id, { message: `step "${name}": ${outcome.reason}` })
    }
    await this.#checkpoint({
      name,
      state: 'done',
      onCrash,
      ...(outcome.kind === 'value' ? { value: outcome.value } : {}),
    })
    open.delete(name)
    return value
  }

  /** Whether a step that must not be repeated was begun and has not finished. */
  hasOpenHold(): boolean {
    return this.#begun !== undefined && this.#begun.open.size > 0
  }

  /** Whether the function of such a step has not even settled: the work has left it behind. */
  isHoldUnderWay(): boolean {
    return this.#begun !== undefined && this.#begun.underWay.size > 0
  }

  /** The work has ended: what it left behind begins no more steps. */
  end(): void {
    this.#ended = true
  }

  async #checkpoint(step: StepRecord): Promise<void> {
    const { engine, policy, claim } = this.#run
    const stored = await persist(engine, policy.leaseMs, claim.id, () => engine.store.checkpoint(claim, step))
    if (stored === 'applied') return
    if (stored === 'refused')
      throw new OncewardError('CLAIM_LOST', `step "${step.name}" lost the claim of its operation`)
    // Never `none`: even where this step has not begun, the work around it may have had effects.
    const effect = step.state === 'done' ? 'done' : 'unknown'
    throw new OncewardError('OUTCOME_NOT_STORED', `step "${step.name}" could not be remembered`, { effect })
  }

  /** A finished step is never run again: where its value could not be stored, only a person can carry on. */
  #finishedValue(known: StepRecord, open: Set<string>): unknown {
    const { claim, policy } = this.#run
    if (known.value) return replay(claim.id, { kind: 'value', value: known.value }, policy.codec)
    open.add(known.name)
    throw new OncewardError(
      'OUTCOME_NOT_REPLAYABLE',
      `step "${known.name}" is done, but its value could not be stored`,
    )
  }
}

function beginning(earlier: readonly StepRecord[]): Steps {
  return {
    finished: new Map(earlier.filter(({ state }) => state === 'done').map((step) => [step.name, step])),
    named: new Set(),
    open: new Set(),
    underWay: new Set(),
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
