/** One call that waits to be sent with others. */
export interface Waiting<Ask, Reply> {
  /** Two calls of one key never share a batch. */
  readonly key: string
  readonly ask: Ask
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

/** How calls are gathered. */
export interface Gathering<Ask, Reply> {
  /** The most calls of one batch. */
  readonly maxBatch: number
  /** The most batches on their way at the same time. */
  readonly maxInFlight: number
  /** Sends a batch, sorted by key, and settles each of its calls. What it throws is thrown to those it left unsettled. */
  send(batch: readonly Waiting<Ask, Reply>[]): Promise<void>
}

/** Calls of many callers, sent in few batches. */
export interface Gatherer<Ask, Reply> {
  call(key: string, ask: Ask): Promise<Reply>
  /** Resolves once nothing is on its way and nothing waits. */
  idle(): Promise<void>
}

/**
 * Gathers the calls of one turn of the event loop, and those that come while `maxInFlight` batches are on their way.
 *
 * - A lone call is sent at the end of the turn in which it was made: nothing waits for company.
 * - Batches are sorted by key, so that two of them never lock the same rows in different orders.
 * - Of two calls of one key the first goes first; the second is sent when the first was answered, so a batch can tell
 *   what the call before it has written.
 */
export function gatherer<Ask, Reply>(gathering: Gathering<Ask, Reply>): Gatherer<Ask, Reply> {
  const { maxBatch, maxInFlight, send } = gathering
  let queue: Waiting<Ask, Reply>[] = []
  const underway = new Set<string>()
  const listeners: (() => void)[] = []
  let inFlight = 0
  let scheduled = false

  const schedule = () => {
    if (scheduled || inFlight >= maxInFlight || queue.length === 0) return
    scheduled = true
    setImmediate(flush)
  }

  function flush(): void {
    scheduled = false
    const batch = takeBatch()
    if (batch.length === 0) return
    inFlight++
    void sendOff(batch)
    schedule()
  }

  /** The oldest calls whose keys are not underway; the others keep their order. */
  function takeBatch(): Waiting<Ask, Reply>[] {
    const batch: Waiting<Ask, Reply>[] = []
    const later: Waiting<Ask, Reply>[] = []
    for (const one of queue) {
      if (batch.length < maxBatch && !underway.has(one.key)) {
        underway.add(one.key)
        batch.push(one)
      } else later.push(one)
    }
    queue = later
    return batch.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async function sendOff(batch: readonly Waiting<Ask, Reply>[]): Promise<void> {
    try {
      await send(batch)
    } catch (error) {
      // Rejecting what is settled already changes nothing.
      for (const one of batch) one.reject(error)
    }
    for (const one of batch) underway.delete(one.key)
    inFlight--
    schedule()
    if (inFlight === 0 && queue.length === 0) for (const done of listeners.splice(0)) done()
  }

  return {
    call: (key, ask) =>
      new Promise((resolve, reject) => {
        queue.push({ key, ask, resolve, reject })
        schedule()
      }),
    idle: () =>
      inFlight === 0 && queue.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => void listeners.push(resolve)),
  }
}
