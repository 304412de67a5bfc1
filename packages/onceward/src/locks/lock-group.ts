import { OncewardError } from '../core/errors.ts'
import type { AcquireSettings, LockEngine } from './lock-options.ts'
import type { Lease, LeaseGroup, Released } from './lock-types.ts'

/** The keys of a group: sorted by code unit and each once, so that all who take several locks take them in the same order. */
export function groupKeys(keys: readonly string[], checkKey: (key: string) => string): readonly string[] {
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError('acquireAll needs a list of at least one key')
  }
  return [...new Set(keys.map(checkKey))].sort()
}

/** Acquires one lock after the other within one waiting time, or none of them. */
export async function acquireGroup<Fence extends number | undefined>(
  { clock }: Pick<LockEngine, 'clock'>,
  keys: readonly string[],
  settings: AcquireSettings,
  acquire: (key: string, settings: AcquireSettings) => Promise<Lease<Fence>>,
): Promise<LeaseGroup<Fence>> {
  const until = clock.monotonic() + settings.waitMs
  const leases: Lease<Fence>[] = []
  try {
    for (const key of keys) {
      const waitMs = Math.max(0, until - clock.monotonic())
      leases.push(await acquire(key, { ...settings, waitMs }))
    }
    for (const lease of leases) assertKept(lease)
    return new HeldGroup(leases)
  } catch (error) {
    await Promise.all(leases.map((lease) => lease[Symbol.asyncDispose]()))
    throw error
  }
}

/** Of the first locks one may be lost while the last ones are waited for. */
function assertKept(lease: Lease): void {
  try {
    lease.assertHeld()
  } catch (cause) {
    const message = `the lock ${JSON.stringify(lease.key)} was lost while others were waited for; none is held`
    throw new OncewardError('LOCK_LOST', message, { cause, effect: 'none' })
  }
}

/** Leases that are held together. */
class HeldGroup<Fence extends number | undefined> implements LeaseGroup<Fence> {
  readonly leases: readonly Lease<Fence>[]
  #controller: AbortController | undefined
  #forget: () => void = () => {}
  #releasing: Promise<Released> | undefined

  constructor(leases: readonly Lease<Fence>[]) {
    this.leases = leases
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController()
      this.#controller = controller
      const signals = this.leases.map(({ signal }) => signal)
      const lose = ({ reason }: AbortSignal) => {
        this.#forget()
        controller.abort(reason)
      }
      const told = signals.map((signal) => () => lose(signal))
      this.#forget = () => {
        for (const [i, tell] of told.entries()) signals[i]?.removeEventListener('abort', tell)
      }
      if (!this.#releasing) {
        for (const [i, tell] of told.entries()) signals[i]?.addEventListener('abort', tell)
        const lost = signals.find(({ aborted }) => aborted)
        if (lost) lose(lost)
      }
    } else {
      // Reading a signal looks at the clock.
      for (const lease of this.leases) void lease.signal
    }
    return this.#controller.signal
  }

  fence(key: string): Fence {
    const lease = this.leases.find((one) => one.key === key)
    if (lease) return lease.fence
    throw new TypeError(
      `${JSON.stringify(key)} is not in this group, which holds ${this.leases.map((one) => one.key).join(', ')}`,
    )
  }

  remainingMs(): number {
    return this.leases.reduce((least, lease) => Math.min(least, lease.remainingMs()), Infinity)
  }

  assertHeld(): void {
    for (const lease of this.leases) lease.assertHeld()
  }

  async extend(ttlMs?: number): Promise<void> {
    await allOf(this.leases.map((lease) => lease.extend(ttlMs)))
  }

  release(): Promise<Released> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget()
    await Promise.all(this.leases.map((lease) => lease[Symbol.asyncDispose]()))
  }

  async #release(): Promise<Released> {
    this.#forget()
    try {
      const answers = await allOf(this.leases.map((lease) => lease.release()))
      return answers.every((answer) => answer === 'released') ? 'released' : 'not-held'
    } catch (error) {
      this.#releasing = undefined
      throw error
    }
  }
}

/** Waits for all, also where one fails. @throws what the first one failed with. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const ended = await Promise.allSettled(work)
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
