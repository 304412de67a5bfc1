import type { Outcome, StepRecord } from '../../core/operation.ts'

/** Copies the bytes of an outcome, so that changing them later does not change what is stored. */
export function copyOfOutcome(outcome: Outcome): Outcome {
  switch (outcome.kind) {
    case 'value':
      return { kind: 'value', value: Buffer.from(outcome.value) }
    case 'failure':
      return { ...outcome, failure: { ...outcome.failure } }
    case 'unreplayable':
      return outcome.note ? { ...outcome, note: Buffer.from(outcome.note) } : { ...outcome }
  }
}

/** Copies the bytes of a step. */
export function copyOfStep(step: StepRecord): StepRecord {
  return step.value ? { ...step, value: Buffer.from(step.value) } : { ...step }
}
