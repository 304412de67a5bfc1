/** Callers waiting for a change of one record each. */
export interface WaitingRoom {
  /** Resolves at the next wake of `digest`, or when `signal` aborts. */
  wait(digest: string, signal: AbortSignal): Promise<void>
  wake(digest: string): void
  wakeAll(): void
  /** How many callers wait. */
  readonly size: number
}

/** Makes an empty waiting room. It holds nothing for records nobody waits for. */
export function createWaitingRoom(): WaitingRoom {
  const waiting = new Map<string, Set<() => void>>()
  const wake = (digest: string) => {
    for (const leave of waiting.get(digest) ?? []) leave()
  }
  return {
    wait(digest, signal) {
      if (signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const others = waiting.get(digest) ?? new Set()
        const leave = () => {
          others.delete(leave)
          if (others.size === 0) waiting.delete(digest)
          signal.removeEventListener('abort', leave)
          resolve()
        }
        waiting.set(digest, others.add(leave))
        signal.addEventListener('abort', leave)
      })
    },
    wake,
    wakeAll() {
      for (const digest of [...waiting.keys()]) wake(digest)
    },
    get size() {
      let count = 0
      for (const others of waiting.values()) count += others.size
      return count
    },
  }
}
