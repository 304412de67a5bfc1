import { OncewardError } from './errors.ts'
import type { Engine } from './settings.ts'

/** Tells callers of aborts; listens to each signal once, however many callers share it. */
export interface AbortWatch {
  /** Calls `onAbort` when `signal` aborts; answers a function that forgets it. */
  add(signal: AbortSignal, onAbort: () => void): () => void
}

/** A signal that callers share. */
interface Watched {
  readonly callers: Set<() => void>
  readonly tell: () => void
}

/** Makes the watch of an instance. */
export function createAbortWatch(): AbortWatch {
  const watched = new WeakMap<AbortSignal, Watched>()
  const begin = (signal: AbortSignal): Watched => {
    const callers = new Set<() => void>()
    const tell = () => {
      for (const onAbort of callers) onAbort()
    }
    signal.addEventListener('abort', tell, { once: true })
    const one = { callers, tell }
    watched.set(signal, one)
    return one
  }
  return {
    add(signal, onAbort) {
      const { callers, tell } = watched.get(signal) ?? begin(signal)
      callers.add(onAbort)
      return () => {
        if (!callers.delete(onAbort) || callers.size > 0) return
        signal.removeEventListener('abort', tell)
        watched.delete(signal)
      }
    },
  }
}

/** What decides on the patience of a caller. */
interface Caller {
  readonly signal: AbortSignal | undefined
  readonly policy: { readonly waitMs: number }
}

/** How long one caller is willing to wait, over all that it waits for. Its timer starts with the first wait. */
export class Patience {
  readonly #engine: Engine
  readonly #aborts: AbortWatch
  readonly #caller: Caller
  #over: Promise<'over' | 'aborted'> | undefined
  #free: (() => void) | undefined

  constructor(engine: Engine, aborts: AbortWatch, caller: Caller) {
    this.#engine = engine
    this.#aborts = aborts
    this.#caller = caller
  }

  /**
   * Waits for `change`, at most as long as patience lasts. Answers what came, if it came.
   *
   * @throws `ABORTED` when the caller's signal aborts.
   */
  async until<T>(change: Promise<T>): Promise<{ readonly came: T } | undefined> {
    const { signal, policy } = this.#caller
    throwIfAborted(signal)
    if (policy.waitMs <= 0) return undefined
    this.#over ??= this.#start()
    const first = await Promise.race([this.#over, change.then((came) => ({ came }))])
    if (first === 'aborted') throwIfAborted(signal)
    return typeof first === 'string' ? undefined : first
  }

  /** Frees the timer and the listener. */
  end(): void {
    this.#free?.()
  }

  #start(): Promise<'over' | 'aborted'> {
    const { signal, policy } = this.#caller
    return new Promise((resolve) => {
      const cancel = this.#engine.timers.after(policy.waitMs, () => resolve('over'))
      const forget = signal && this.#aborts.add(signal, () => resolve('aborted'))
      this.#free = () => {
        cancel()
        forget?.()
      }
    })
  }
}

/** @throws `ABORTED` (effect none) when `signal` has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new OncewardError('ABORTED', undefined, { cause: signal.reason })
}
