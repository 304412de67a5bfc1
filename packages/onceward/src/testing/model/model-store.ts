/**
 * What a store must do, told a second time and apart from `core/transitions.ts`, so that one can convict the other:
 * plain, mutable, one object for each key, and time as a number that the caller moves.
 */
import assert from 'node:assert/strict'
import type { OnCrash, OperationRecord, OperationState } from '../../core/operation.ts'
import type { ClaimReply } from '../../core/store.ts'

/** A claim as the model remembers it. */
export interface ModelClaim {
  readonly key: number
  readonly owner: string
  readonly fence: number
}

/** What a claim asks of the model. */
export interface ModelRequest {
  readonly owner: string
  readonly fingerprint: string | undefined
  readonly leaseMs: number
  readonly retentionMs: number
  readonly onCrash: OnCrash
  readonly again: boolean
}

interface Step {
  done: boolean
  hold: boolean
  value: string
}

interface Life {
  phase: OperationState
  owner: string | undefined
  fingerprint: string | undefined
  onCrash: OnCrash
  fence: number
  attempt: number
  lapsesAt: number
  endedAt: number
  retentionMs: number
  outcome: string | undefined
  asks: number
  quietUntil: number
  steps: Map<string, Step>
  turnedAway: number
  events: string[]
}

/** What the model expects a claim to be answered. */
export type Expected =
  | {
      readonly state: 'claimed'
      readonly fence?: number
      readonly attempt: number
      readonly takenOver: boolean
    }
  | { readonly state: Exclude<ClaimReply['state'], 'claimed'> }

/** The model of one store. */
export class ModelStore {
  now = 0
  readonly #lives = new Map<number, Life>()
  readonly #highest = new Map<number, number>()

  /** Decides a claim; `granted` is told the fence of the real store when a new claim is expected. */
  claim(key: number, request: ModelRequest): Expected {
    const life = this.#alive(key)
    if (!life) return { state: 'claimed', attempt: 1, takenOver: false }
    if (life.phase === 'running' && life.owner === request.owner) {
      life.lapsesAt = this.now + request.leaseMs
      const takenOver = life.events.at(-1) === 'taken-over'
      return { state: 'claimed', fence: life.fence, attempt: life.attempt, takenOver }
    }
    const untouchedRelease = life.phase === 'released' && ![...life.steps.values()].some((step) => step.done)
    const compares = life.fingerprint !== undefined && request.fingerprint !== undefined && !untouchedRelease
    if (compares && life.fingerprint !== request.fingerprint) return { state: 'reused' }
    if (life.phase === 'done') return { state: 'done' }
    if (life.phase === 'released') {
      if (life.owner === request.owner) return { state: 'running' }
      return { state: 'claimed', attempt: life.attempt + 1, takenOver: false }
    }
    if (life.phase === 'running') {
      const lapsed = life.lapsesAt <= this.now
      if (lapsed && !mustHold(life)) return { state: 'claimed', attempt: life.attempt + 1, takenOver: true }
      if (lapsed) this.#hold(life, undefined)
    }
    if (!request.again) life.turnedAway += 1
    return { state: life.phase === 'held' ? 'held' : 'running' }
  }

  /** A new claim was granted under `fence`. */
  grant(key: number, request: ModelRequest, expected: Expected & { state: 'claimed' }, fence: number): void {
    const before = this.#alive(key)
    assert.ok(
      fence > (this.#highest.get(key) ?? 0),
      `a fence must be greater than all before it, ${fence} is not`,
    )
    this.#highest.set(key, fence)
    const steps = [...(before?.steps ?? [])].filter(([, step]) => step.done)
    this.#lives.set(key, {
      phase: 'running',
      owner: request.owner,
      fingerprint: request.fingerprint,
      onCrash: request.onCrash,
      fence,
      attempt: expected.attempt,
      lapsesAt: this.now + request.leaseMs,
      endedAt: 0,
      retentionMs: request.retentionMs,
      outcome: undefined,
      asks: 0,
      quietUntil: 0,
      steps: new Map(steps),
      turnedAway: before?.turnedAway ?? 0,
      events: [...(before?.events ?? []), expected.takenOver ? 'taken-over' : 'claimed'],
    })
  }

  /**
   * Runs an owner's transition, and answers what the store must answer. A lapsed record that has expired may be gone
   * or not: there the store's own answer, `told`, is taken.
   */
  transition(
    claim: ModelClaim,
    told: boolean,
    ends: OperationState | 'same',
    change: (life: Life) => void,
  ): boolean {
    const life = this.#lives.get(claim.key)
    const own = life?.owner === claim.owner && life.fence === claim.fence
    if (!life || !own) return false
    if (life.phase === ends) return this.#expired(life) ? told : true
    if (life.phase !== 'running') return false
    if (this.#expired(life) && !told) {
      this.#lives.delete(claim.key)
      return false
    }
    change(life)
    return true
  }

  renew(claim: ModelClaim, leaseMs: number, told: boolean): boolean {
    return this.transition(claim, told, 'same', (life) => {
      life.lapsesAt = this.now + leaseMs
    })
  }

  checkpoint(claim: ModelClaim, name: string, step: Step, told: boolean): boolean {
    return this.transition(claim, told, 'same', (life) => {
      if (!life.steps.get(name)?.done) life.steps.set(name, step)
    })
  }

  complete(claim: ModelClaim, outcome: string, failed: boolean, retentionMs: number, told: boolean): boolean {
    return this.transition(claim, told, 'done', (life) => {
      Object.assign(life, { phase: 'done', outcome, retentionMs, endedAt: this.now })
      life.steps.clear()
      life.events.push(failed ? 'failed' : 'completed')
    })
  }

  release(claim: ModelClaim, told: boolean): boolean {
    return this.transition(claim, told, 'released', (life) => this.#release(life, 'released'))
  }

  hold(claim: ModelClaim, told: boolean): boolean {
    return this.transition(claim, told, 'held', (life) => this.#hold(life, life.owner))
  }

  takeTurn(key: number, fence: number, asks: number, quietMs: number, holding: boolean): boolean {
    const life = this.#lives.get(key)
    if (life?.phase !== 'held' || life.fence !== fence || life.asks !== asks) return false
    if (!holding && this.now < life.quietUntil) return false
    if (!holding) life.asks += 1
    life.quietUntil = this.now + quietMs
    return true
  }

  resolve(key: number, fence: number, outcome: string | undefined): 'resolved' | 'absent' | 'conflict' {
    const life = this.#alive(key)
    if (!life) return 'absent'
    const lapsed = life.phase === 'running' && life.lapsesAt <= this.now && mustHold(life)
    if ((life.phase !== 'held' && !lapsed) || life.fence !== fence) return 'conflict'
    if (lapsed) this.#hold(life, undefined)
    life.owner = undefined
    if (outcome === undefined) this.#release(life, 'resolved')
    else {
      Object.assign(life, { phase: 'done', outcome, endedAt: this.now })
      life.steps.clear()
      life.events.push('resolved')
    }
    return 'resolved'
  }

  sweep(): number {
    let held = 0
    for (const life of this.#lives.values()) {
      if (life.phase !== 'running' || life.lapsesAt > this.now || !mustHold(life)) continue
      this.#hold(life, undefined)
      held += 1
    }
    return held
  }

  /** The newest fence of a key, and the count of asks: what a caller would know of it. */
  known(key: number): { readonly fence: number; readonly asks: number } {
    const life = this.#lives.get(key)
    return { fence: life?.fence ?? 1, asks: life?.asks ?? 0 }
  }

  /** Requires that the record of the real store is the one of the model. */
  agrees(key: number, record: OperationRecord | undefined): void {
    const life = this.#alive(key)
    assert.equal(record?.state, life?.phase, 'the state of the record')
    if (!life || !record) return
    const seen = {
      owner: record.owner,
      fingerprint: record.fingerprint,
      onCrash: record.onCrash,
      fence: record.fence,
      attempt: record.attempt,
      expires: record.expiresAt !== undefined,
      heldFor: record.heldReason !== undefined,
      outcome: outcomeText(record),
      steps: record.steps.map((step) => [
        step.name,
        step.state === 'done',
        step.onCrash === 'hold',
        text(step.value),
      ]),
      turnedAway: record.duplicates,
      events: record.history.map((entry) => entry.event),
    }
    assert.deepEqual(seen, {
      owner: life.owner,
      fingerprint: life.fingerprint,
      onCrash: life.onCrash,
      fence: life.fence,
      attempt: life.attempt,
      expires: life.phase !== 'held' && !(life.phase === 'running' && mustHold(life)),
      heldFor: life.phase === 'held',
      outcome: life.outcome,
      steps: [...life.steps].map(([name, step]) => [name, step.done, step.hold, step.value]),
      turnedAway: life.turnedAway,
      events: life.events.slice(-16),
    })
    if (life.phase === 'held') assert.equal(record.asks, life.asks, 'how often somebody was asked')
  }

  #alive(key: number): Life | undefined {
    const life = this.#lives.get(key)
    return life && !this.#expired(life) ? life : undefined
  }

  #expired(life: Life): boolean {
    if (life.phase === 'held' || (life.phase === 'running' && mustHold(life))) return false
    return (life.phase === 'running' ? life.lapsesAt : life.endedAt) + life.retentionMs <= this.now
  }

  #hold(life: Life, owner: string | undefined): void {
    Object.assign(life, { phase: 'held', owner, asks: 0, quietUntil: this.now })
    life.events.push('held')
  }

  #release(life: Life, event: string): void {
    Object.assign(life, { phase: 'released', endedAt: this.now })
    for (const [name, step] of life.steps) if (!step.done) life.steps.delete(name)
    life.events.push(event)
  }
}

function mustHold(life: Life): boolean {
  return life.onCrash === 'hold' || [...life.steps.values()].some((step) => !step.done && step.hold)
}

function outcomeText({ outcome }: OperationRecord): string | undefined {
  if (outcome?.kind === 'value') return text(outcome.value)
  return outcome?.kind === 'failure' ? outcome.failure.message : outcome?.reason
}

function text(bytes: Uint8Array | undefined): string {
  return bytes ? Buffer.from(bytes).toString() : ''
}
