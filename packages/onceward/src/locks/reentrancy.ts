import { AsyncLocalStorage, executionAsyncId } from 'node:async_hooks'
import { OncewardError } from '../core/errors.ts'
import type { LockTarget } from './local-queue.ts'
import type { Lease, Released } from './lock-types.ts'

/** A lock that the code of this async context is inside of, or is about to be. */
interface Frame {
  readonly target: LockTarget
  readonly outer: Frame | undefined
  lease: Lease | undefined
  ended: boolean
}

/** Not inside of anything. */
const NOWHERE: Frame = {
  target: { key: '', mode: 'exclusive', permits: 1 },
  outer: undefined,
  lease: undefined,
  ended: true,
}

/** Knows which leases the caller's async context is inside of. */
export class Reentrancy {
  readonly #frames = new AsyncLocalStorage<Frame | undefined>()

  /** Makes Node.js follow async contexts from now on, which it does by itself from the first use on. */
  follow(): void {
    this.#frames.run(NOWHERE, () => {})
  }

  /** An inner lease of the lock, if the caller is inside of it. What was left behind after a release is not. */
  inner(target: LockTarget): Lease | undefined {
    for (let frame = this.#current(); frame; frame = frame.outer) {
      const { lease } = frame
      if (lease && isSame(frame.target, target) && lease.remainingMs() > 0) return new InnerLease(lease)
    }
    return undefined
  }

  /** Runs `work` inside of the lease. */
  run<T>(target: LockTarget, lease: Lease, work: () => T): T {
    return this.#frames.run({ target, lease, outer: this.#current(), ended: false }, work)
  }

  /**
   * Takes the caller's async context inside of a lease that is still to come. To be called before the first `await`.
   * Answers what is to be told of the lease, or that there is none.
   */
  enter(target: LockTarget): (lease: Lease | null) => void {
    const frame: Frame = { target, lease: undefined, outer: this.#current(), ended: false }
    if (this.#isShared()) this.follow()
    else this.#frames.enterWith(frame)
    return (lease) => {
      if (lease) frame.lease = lease
      else frame.ended = true
    }
  }

  /**
   * Whether the caller's context may be anybody's. Before Node.js 24 async contexts are followed from the first use on: what
   * was begun before has none of its own, and what one enters there all others are inside of, too.
   */
  #isShared(): boolean {
    return executionAsyncId() === 0 && '_enable' in this.#frames
  }

  /** The innermost frame that has not ended: the others are forgotten with it, so that a loop does not collect them. */
  #current(): Frame | undefined {
    let frame = this.#frames.getStore()
    while (frame && (frame.ended || frame.lease?.remainingMs() === 0)) frame = frame.outer
    return frame
  }
}

/** A lease within a lease: only the outermost one gives the lock back. */
class InnerLease implements Lease {
  readonly #outer: Lease
  #releasing: Promise<Released> | undefined

  constructor(outer: Lease) {
    this.#outer = outer
  }

  get key(): string {
    return this.#outer.key
  }

  get fence(): number | undefined {
    return this.#outer.fence
  }

  get token(): string {
    return this.#outer.token
  }

  get signal(): AbortSignal {
    return this.#outer.signal
  }

  remainingMs(): number {
    return this.#releasing !== undefined ? 0 : this.#outer.remainingMs()
  }

  assertHeld(): void {
    if (this.#releasing !== undefined) {
      throw new OncewardError(
        'LOCK_LOST',
        `this lease of ${JSON.stringify(this.key)} was released here before`,
      )
    }
    this.#outer.assertHeld()
  }

  async extend(ttlMs?: number): Promise<void> {
    this.assertHeld()
    await this.#outer.extend(ttlMs)
  }

  release(): Promise<Released> {
    this.#releasing ??= Promise.resolve(this.#outer.remainingMs() > 0 ? 'released' : 'not-held')
    return this.#releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

function isSame(a: LockTarget, b: LockTarget): boolean {
  return a.key === b.key && a.mode === b.mode && a.permits === b.permits
}
