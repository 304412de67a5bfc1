import type { OperationRecord, Outcome, StepRecord } from '../../core/operation.ts'

/** Copies the bytes of an outcome, so that changing them later changes nothing that is stored or told to others. */
export function copyOfOutcome(outcome: Outcome): Outcome {
  switch (outcome.kind) {
    case 'value':
      return { ...outcome, value: Uint8Array.from(outcome.value) }
    case 'failure':
      return { ...outcome, failure: { ...outcome.failure } }
    case 'unreplayable':
      return outcome.note ? { ...outcome, note: Uint8Array.from(outcome.note) } : { ...outcome }
  }
}

/** Takes a small outcome in as cheaply as can be; the copy is only for writing. */
export function takenIn(outcome: Outcome): Outcome {
  return outcome.kind === 'value'
    ? { kind: 'value', value: Buffer.from(outcome.value) }
    : copyOfOutcome(outcome)
}

/** Copies the bytes of a step. */
export function copyOfStep(step: StepRecord): StepRecord {
  return step.value ? { ...step, value: Uint8Array.from(step.value) } : { ...step }
}

/** Copies everything in a record that could be changed. */
export function copyOfRecord(record: OperationRecord): OperationRecord {
  return {
    ...record,
    ...(record.outcome ? { outcome: copyOfOutcome(record.outcome) } : {}),
    steps: record.steps.map(copyOfStep),
    history: record.history.map((entry) => ({ ...entry })),
  }
}
