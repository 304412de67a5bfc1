import { OncewardError } from './errors.ts'
import type { Engine } from './settings.ts'

/** How long one caller is willing to wait, over all that it waits for. */
export interface Patience {
  /** Waits for `change`, at most as long as patience lasts. Answers whether it came. @throws `ABORTED` when the caller's signal aborts. */
  until(change: Promise<unknown>): Promise<boolean>
  /** Frees the timer and the listener. */
  end(): void
}

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

/** Starts the waiting time of one caller; its timer starts with the first wait. */
export function createPatience(
  engine: Engine,
  aborts: AbortWatch,
  waitMs: number,
  signal: AbortSignal | undefined,
): Patience {
  let over: Promise<'over' | 'aborted'> | undefined
  let end = () => {}
  const start = () =>
    new Promise<'over' | 'aborted'>((resolve) => {
      const cancel = engine.timers.after(waitMs, () => resolve('over'))
      const forget = signal && aborts.add(signal, () => resolve('aborted'))
      end = () => {
        cancel()
        forget?.()
      }
    })
  return {
    async until(change) {
      throwIfAborted(signal)
      if (waitMs <= 0) return false
      over ??= start()
      const first = await Promise.race([over, change.then(() => 'changed' as const)])
      if (first === 'aborted') throwIfAborted(signal)
      return first === 'changed'
    },
    end: () => end(),
  }
}

/** @throws `ABORTED` (effect none) when `signal` has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new OncewardError('ABORTED', undefined, { cause: signal.reason })
}
