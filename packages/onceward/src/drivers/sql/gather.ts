/** One call that waits to be sent with others. */
export interface Waiting<Ask, Reply> {
  /** Two calls of one key never share a batch, unless they are `shared`. */
  readonly key: string
  readonly ask: Ask
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

/** What is on its way to a server. */
export interface Load {
  inFlight: number
}

/** How calls are gathered. */
export interface Gathering<Ask, Reply> {
  /** The most calls of one batch. */
  readonly maxBatch: number
  /** The most batches on their way at the same time. */
  readonly maxInFlight: number
  /** Shared by gatherers that send to the same server. Default: one of its own. */
  readonly load?: Load
  /**
   * Whether calls of one key may share a batch, and be on their way at the same time: calls that change nothing. Default
   * false. Otherwise many who ask for one key wait for a round trip each, one after the other.
   */
  readonly shared?: boolean
  /** Waits one turn longer: for whoever wakes at the end of a turn to take them along. Default false. */
  readonly late?: boolean
  /** Sends a batch, sorted by key, and settles each of its calls. What it throws is thrown to those it left unsettled. */
  send(batch: readonly Waiting<Ask, Reply>[]): Promise<void>
}

/** Calls of many callers, sent in few batches. */
export interface Gatherer<Ask, Reply> {
  call(key: string, ask: Ask): Promise<Reply>
  /** Resolves once nothing is on its way and nothing waits. */
  idle(): Promise<void>
}

/** One whose calls may also be sent along with something else. */
export interface OpenGatherer<Ask, Reply> extends Gatherer<Ask, Reply> {
  /**
   * Hands over what waits, and nothing where nothing does, to `send`, which settles each. What it throws is thrown here, and
   * to those it left unsettled.
   */
  along<T>(send: (batch: readonly Waiting<Ask, Reply>[]) => Promise<T>): Promise<T>
}

/** Fewer calls than this are not worth a round trip of their own where another has room for them. */
const SMALLEST_HALF = 32

/**
 * Gathers the calls of one turn of the event loop, and those that come while `maxInFlight` batches are on their way.
 *
 * - A lone call is sent at the end of the turn in which it was made: nothing waits for company. One that is `late` waits a turn
 *   longer, for whoever takes it along.
 * - Batches are sorted by key, so that two of them never lock the same rows in different orders.
 * - Of two calls of one key the first goes first; the second is sent when the first was answered, so a batch can tell
 *   what the call before it has written. Calls that are `shared` need not wait so.
 */
export function gatherer<Ask, Reply>(gathering: Gathering<Ask, Reply>): OpenGatherer<Ask, Reply> {
  const { maxBatch, maxInFlight, send, load = { inFlight: 0 }, shared = false, late = false } = gathering
  let queue: Waiting<Ask, Reply>[] = []
  const underway = new Set<string>()
  const listeners: (() => void)[] = []
  let inFlight = 0
  let scheduled: ReturnType<typeof setImmediate> | undefined

  const schedule = () => {
    if (scheduled || inFlight >= maxInFlight || queue.length === 0) return
    scheduled = setImmediate(() => {
      if (late) scheduled = setImmediate(flush)
      else flush()
    })
  }

  function flush(): void {
    scheduled = undefined
    // Where the server has nothing to do, many are sent in two halves: it and this process would take turns otherwise, instead
    // of working at the same time.
    const halve = load.inFlight === 0 && maxInFlight > 1 && queue.length >= 2 * SMALLEST_HALF
    const batch = takeBatch(halve ? Math.ceil(queue.length / 2) : queue.length)
    if (batch.length === 0) return
    // Each of its callers has been told.
    void sendOff(batch, send).catch(() => {})
    schedule()
  }

  /** The oldest calls whose keys are not underway; the others keep their order. */
  function takeBatch(wanted: number): Waiting<Ask, Reply>[] {
    const most = Math.min(maxBatch, wanted)
    const batch: Waiting<Ask, Reply>[] = []
    const later: Waiting<Ask, Reply>[] = []
    for (const one of queue) {
      if (batch.length < most && !underway.has(one.key)) {
        if (!shared) underway.add(one.key)
        batch.push(one)
      } else later.push(one)
    }
    queue = later
    return batch.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async function sendOff<T>(
    batch: readonly Waiting<Ask, Reply>[],
    sent: (batch: readonly Waiting<Ask, Reply>[]) => Promise<T>,
  ): Promise<T> {
    inFlight++
    load.inFlight++
    try {
      return await sent(batch)
    } catch (error) {
      // Rejecting what is settled already changes nothing.
      for (const one of batch) one.reject(error)
      throw error
    } finally {
      for (const one of batch) underway.delete(one.key)
      inFlight--
      load.inFlight--
      schedule()
      if (inFlight === 0 && queue.length === 0) for (const done of listeners.splice(0)) done()
    }
  }

  return {
    call: (key, ask) =>
      new Promise((resolve, reject) => {
        queue.push({ key, ask, resolve, reject })
        schedule()
      }),
    along(sent) {
      const batch = takeBatch(queue.length)
      // What comes from now on has turns of its own.
      clearImmediate(scheduled)
      scheduled = undefined
      schedule()
      return batch.length === 0 ? sent(batch) : sendOff(batch, sent)
    },
    idle: () =>
      inFlight === 0 && queue.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => void listeners.push(resolve)),
  }
}
