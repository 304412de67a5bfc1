/** What happens later in a trial, unless the trial is over by then. */
export interface TrialTimers {
  after(ms: number, act: () => void): void
  /** Lets nothing more happen. */
  end(): void
}

/** Makes the timers of one trial. */
export function trialTimers(): TrialTimers {
  const timers = new Set<NodeJS.Timeout>()
  let isOver = false
  return {
    after(ms, act) {
      if (isOver) return
      const timer = setTimeout(() => {
        timers.delete(timer)
        act()
      }, ms)
      timers.add(timer)
    },
    end() {
      isOver = true
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    },
  }
}
