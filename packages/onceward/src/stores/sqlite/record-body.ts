import type { StoredEvent, StoredOutcome, StoredStep } from '../../drivers/sql/stored-parts.ts'

/** What the `body` column holds, as JSON. What a column holds is left out, and so is what is 0 or empty. */
export interface StoredBody {
  /** Scope and key, where a column cannot hold them. */
  readonly id: readonly [scope: string, key: string] | undefined
  /** Where a column cannot hold it. */
  readonly fingerprint: string | undefined
  /** Where a column cannot hold it. */
  readonly owner: string | undefined
  /** An outcome other than a plain value. */
  readonly outcome: Exclude<StoredOutcome, { readonly kind: 'value' }> | undefined
  readonly heldReason: string | undefined
  readonly asks: number | undefined
  readonly nextAskAt: number | undefined
  readonly duplicates: number | undefined
  /** The last member is the length of the value in the payload; steps come after each other, before the outcome. */
  readonly steps: readonly StoredStep[] | undefined
  /** Any other than that of one claim, and its completion with a value. */
  readonly history: readonly StoredEvent[] | undefined
}

/** Reads a `body`. @throws `TypeError` or `SyntaxError` for one that this store did not write. */
export function parseBody(json: string): StoredBody {
  const body: unknown = JSON.parse(json)
  if (!isObject(body)) throw new TypeError('body is not an object')
  for (const field of ['asks', 'nextAskAt', 'duplicates']) {
    if (!isOptional(body[field], 'number')) throw new TypeError(`body.${field} is not a number`)
  }
  for (const field of ['fingerprint', 'owner', 'heldReason']) {
    if (!isOptional(body[field], 'string')) throw new TypeError(`body.${field} is not text`)
  }
  if (body['steps'] !== undefined && !isListOf(body['steps'], isStep))
    throw new TypeError('body.steps is not a list of steps')
  if (body['history'] !== undefined && !isListOf(body['history'], isEvent))
    throw new TypeError('body.history is not a list of events')
  if (body['outcome'] !== undefined && !isOutcome(body['outcome'])) {
    throw new TypeError('body.outcome is no outcome')
  }
  if (body['id'] !== undefined && !isListOf(body['id'], isText)) throw new TypeError('body.id is not a pair')
  return body as unknown as StoredBody
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem)
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isOptional(value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || typeof value === type
}

function isOnCrash(value: unknown): boolean {
  return value === 'hold' || value === 'rerun'
}

function isLength(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isStep(value: unknown): boolean {
  if (!Array.isArray(value)) return false
  const [name, state, onCrash, length]: readonly unknown[] = value
  const known = state === 'started' || state === 'done'
  return isText(name) && known && isOnCrash(onCrash) && (length === null || isLength(length))
}

function isEvent(value: unknown): boolean {
  if (!Array.isArray(value)) return false
  const [at, event, attempt, fence, note]: readonly unknown[] = value
  const numbers = [at, attempt, fence].every((part) => typeof part === 'number')
  return numbers && isText(event) && isOptional(note, 'string')
}

function isOutcome(value: unknown): boolean {
  if (!isObject(value)) return false
  switch (value['kind']) {
    case 'failure':
      return isFailure(value['failure'])
    case 'unreplayable':
      return isText(value['reason']) && (value['length'] === null || isLength(value['length']))
    default:
      return false
  }
}

function isFailure(value: unknown): boolean {
  if (!isObject(value)) return false
  const { name, message, code, effect } = value
  const known = effect === 'none' || effect === 'unknown' || effect === 'done'
  return isText(name) && isText(message) && isOptional(code, 'string') && known
}
