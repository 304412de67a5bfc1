import type { OperationRecord } from 'onceward'
import { isSealed } from 'onceward/encrypted'
import { responseCodec } from 'onceward/http'
import { isHttpOperation } from '../gateway/operation-name.ts'

/** An operation as `--json` prints it. Bodies and values stay in the store; their size is told. */
export interface OperationView {
  readonly id: string
  readonly scope: string
  readonly key: string
  readonly state: string
  readonly attempt: number
  readonly fence: number
  readonly ageMs: number
  readonly onCrash: string
  readonly createdAt: string
  readonly updatedAt: string
  readonly expiresAt?: string
  readonly leaseUntil?: string
  readonly heldReason?: string
  readonly asks?: number
  readonly duplicates: number
  readonly outcome?: OutcomeView
  readonly history?: readonly { readonly at: string; readonly event: string; readonly note?: string }[]
}

/** What is told of an outcome. */
export interface OutcomeView {
  readonly kind: string
  readonly status?: number
  readonly bytes?: number
  readonly error?: string
  readonly reason?: string
}

/** Describes a record. `now` is the time of this machine, in ms: ages are as good as the clocks agree. */
export function operationView(record: OperationRecord, now: number, full: boolean): OperationView {
  const { id } = record
  return {
    id: id.digest,
    scope: id.scope,
    key: id.key,
    state: record.state,
    attempt: record.attempt,
    fence: record.fence,
    ageMs: Math.max(0, Math.round(now - record.createdAt)),
    onCrash: record.onCrash,
    createdAt: isoTime(record.createdAt),
    updatedAt: isoTime(record.updatedAt),
    ...(record.expiresAt === undefined ? {} : { expiresAt: isoTime(record.expiresAt) }),
    ...(record.state === 'running' ? { leaseUntil: isoTime(record.leaseUntil) } : {}),
    ...(record.heldReason === undefined
      ? {}
      : { heldReason: plainReason(record.heldReason), asks: record.asks }),
    duplicates: record.duplicates,
    ...(record.outcome === undefined ? {} : { outcome: outcomeView(record) }),
    ...(full
      ? {
          history: record.history.map((entry) => ({
            at: isoTime(entry.at),
            event: entry.event,
            ...(entry.note === undefined ? {} : { note: unsealed(entry.note) }),
          })),
        }
      : {}),
  }
}

/** The state in a table: `done/failed` where what is stored is a failure, which duplicates get too. */
export function shownState({ state, outcome }: OperationView): string {
  return outcome?.kind === 'failure' ? `${state}/failed` : state
}

/** An age for people: `12s`, `3m`, `5h`, `2d`. */
export function shortAge(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** The engine puts before a reason which error was thrown; of those of the HTTP layer that is of no interest here. */
function plainReason(reason: string): string {
  return unsealed(reason).replace(/^the work threw (?:UpstreamError|NotStored): /, '')
}

/** What an encrypted store has sealed says nothing here: this command has no keys. */
function unsealed(text: string): string {
  return /^sealed: [A-Za-z0-9_-]{40,}$/.test(text) ? 'sealed' : text
}

function outcomeView(record: OperationRecord): OutcomeView {
  const { outcome } = record
  switch (outcome?.kind) {
    case 'failure':
      return { kind: 'failure', error: unsealed(`${outcome.failure.name}: ${outcome.failure.message}`) }
    case 'unreplayable':
      return { kind: 'unreplayable', reason: unsealed(outcome.reason) }
    case 'value': {
      if (isSealed(outcome.value)) return { kind: 'sealed', bytes: outcome.value.byteLength }
      const response = isHttpOperation(record.id) ? decoded(outcome.value) : undefined
      if (response === undefined) return { kind: 'value', bytes: outcome.value.byteLength }
      return { kind: 'response', status: response.status, bytes: response.body.byteLength }
    }
    default:
      return { kind: 'unknown' }
  }
}

function decoded(value: Uint8Array): { readonly status: number; readonly body: Uint8Array } | undefined {
  try {
    const response = responseCodec.decode(value) as { readonly status: number; readonly body?: Uint8Array }
    return response.body === undefined ? undefined : { status: response.status, body: response.body }
  } catch {
    return undefined
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
