/** A moment at which something is to happen. */
export interface Scheduled {
  /** Takes it back; harmless when it has happened. */
  cancel(): void
}

/** Virtual time: it stands still while code runs and jumps to the next event when all code waits. */
export interface Scheduler {
  /** Virtual time in ms since the start of the simulation. */
  now(): number
  /** Lets `run` happen after `delayMs`; equal times happen in the order in which they were asked for. */
  after(delayMs: number, run: () => void): Scheduled
  /** Moves to the next event and runs it; answers false when none is left. */
  step(): boolean
  /** How many events wait. */
  readonly waiting: number
}

interface Entry {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

/** Makes a scheduler: a binary heap of events by time. */
export function createScheduler(): Scheduler {
  const heap: Entry[] = []
  let now = 0
  let order = 0
  let live = 0
  return {
    now: () => now,
    after(delayMs, run) {
      const entry: Entry = { at: now + Math.max(0, delayMs), order: order++, run }
      push(heap, entry)
      live++
      return {
        cancel() {
          if (entry.run === undefined) return
          entry.run = undefined
          live--
        },
      }
    },
    step() {
      for (let entry = pop(heap); entry; entry = pop(heap)) {
        const { run } = entry
        if (run === undefined) continue
        entry.run = undefined
        live--
        now = entry.at
        run()
        return true
      }
      return false
    },
    get waiting() {
      return live
    },
  }
}

/**
 * Runs every microtask that is due, and what those make due, until none is left.
 *
 * `process._tickCallback` does so synchronously and exactly, which is what makes thousands of seeds a second possible.
 * It is not documented, so {@link assertDrains} looks before it is trusted.
 */
export const drainMicrotasks: () => void = (process as unknown as { _tickCallback(): void })._tickCallback

/** Refuses to simulate where microtasks cannot be drained synchronously. Call it from a macrotask. */
export function assertDrains(): void {
  let reached = 0
  const chain = async () => {
    for (; reached < 100; reached++) await Promise.resolve()
  }
  void chain()
  drainMicrotasks()
  if (reached !== 100)
    throw new Error('this Node.js cannot drain microtasks synchronously; the simulation needs it')
}

/** Runs `body` in a macrotask of its own, where {@link drainMicrotasks} works. */
export function inMacrotask<T>(body: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(body())
      } catch (error) {
        reject(error)
      }
    })
  })
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function push(heap: Entry[], entry: Entry): void {
  let at = heap.push(entry) - 1
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up]
    if (parent === undefined || before(parent, entry)) break
    heap[at] = parent
    at = up
  }
  heap[at] = entry
}

function pop(heap: Entry[]): Entry | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined || heap.length === 0) return first
  let at = 0
  for (;;) {
    let down = 2 * at + 1
    let child = heap[down]
    if (child === undefined) break
    const right = heap[down + 1]
    if (right !== undefined && before(right, child)) {
      child = right
      down++
    }
    if (before(last, child)) break
    heap[at] = child
    at = down
  }
  heap[at] = last
  return first
}
