import { join } from 'node:path'
import { WorkerEnded } from './harness/process-pool.ts'
import type { Order } from './orders.ts'
import type { WorkerPool, WorkerProcess } from './worker-pool.ts'

/** A place for a worker in a trial: several processes may fill it, one after the other. */
export interface Seat {
  readonly worker: number
  /** The process that fills it now, if one does. */
  process(): WorkerProcess | undefined
  /** Fills it for the first time. */
  fill(): Promise<void>
  /** Lets the calls begin. */
  go(startedAt: number): void
  /** Sees to it that somebody is there, whatever has happened; from now on nobody is replaced by himself. */
  ready(): Promise<void>
  /** Lets the worker settle and ask for its share of the operations; one that dies meanwhile is replaced and does it. */
  heal(of: number): Promise<void>
  /** Ends whoever is there, and lets nobody in until it is answered to. */
  powerOff(): Promise<() => void>
  /** Gives the process back. */
  empty(): Promise<void>
}

/** What a seat needs. */
export interface SeatRoom {
  readonly pool: WorkerPool
  readonly folder: string
  /** The order to open the trial, but for what differs from life to life. */
  readonly order: Omit<Extract<Order, { do: 'open' }>, 'file' | 'worker' | 'life'>
  /** How long it stays empty after its process has died, in ms. */
  readonly downMs: number
  after(ms: number, act: () => void): void
  /** A process takes part; its history is in this file. */
  onOpened(file: string): void
  onFailed(message: string): void
}

/** The longest time a worker may take for what it is told, in ms. */
const PATIENCE_MS = 30_000

/** How often a place is filled anew in the end, before it is given up. */
const MOST_TRIES = 5

/** Makes an empty seat. */
export function seatOf(room: SeatRoom, worker: number): Seat {
  const { pool, folder, order, downMs, after } = room
  let life = 0
  let process: WorkerProcess | undefined
  let replacing = true
  let startedAt = 0
  let opening: Promise<void> = Promise.resolve()

  const open = async (): Promise<void> => {
    const taken = await pool.take()
    const file = join(folder, `worker-${worker}-${life}.jsonl`)
    const opened = taken.said('opened', PATIENCE_MS)
    taken.tell({ ...order, file, worker, life })
    try {
      await opened
    } catch (error) {
      // The store may be down, or the worker was killed: somebody will try again.
      taken.kill('SIGKILL')
      // Nothing is disturbed yet: the trial itself is at fault.
      if (startedAt === 0 && replacing && !(error instanceof WorkerEnded)) throw error
      if (!(error instanceof WorkerEnded) && !replacing) room.onFailed(String(error).slice(0, 500))
      replaceLater()
      return
    }
    room.onOpened(file)
    process = taken
    void taken.ended.then((ending) => {
      // A service must not die of an error event or a rejection that the library has left behind.
      if (ending !== 'killed') room.onFailed(`worker ${worker} died by itself: ${ending}`)
      replaceLater()
    })
    if (startedAt > 0 && replacing) taken.tell({ do: 'go', elapsedMs: performance.now() - startedAt })
  }
  const fillAgain = () => {
    life++
    opening = open()
    return opening
  }
  const replaceLater = () => {
    if (!replacing) return
    after(downMs, () => {
      if (replacing) void fillAgain()
    })
  }
  const ready = async () => {
    replacing = false
    await opening
    for (let tries = 0; tries < MOST_TRIES && !process?.isAlive(); tries++) await fillAgain()
  }

  return {
    worker,
    process: () => process,
    fill() {
      opening = open()
      return opening
    },
    go(now) {
      startedAt = now
      process?.tell({ do: 'go', elapsedMs: 0 })
    },
    ready,
    async heal(of) {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        await ready()
        const settled = process?.said('settled', PATIENCE_MS)
        process?.tell({ do: 'heal', nth: worker, of })
        try {
          return await settled
        } catch (error) {
          // A point at which it was to die may have been reached before it heard of the end of all faults.
          if (!(error instanceof WorkerEnded)) return room.onFailed(String(error).slice(0, 500))
        }
      }
    },
    async powerOff() {
      replacing = false
      process?.kill('SIGKILL')
      await opening
      process?.kill('SIGKILL')
      await process?.ended
      return () => {
        replacing = true
        void fillAgain()
      }
    },
    async empty() {
      replacing = false
      process?.kill('SIGCONT')
      await opening
      const leaving = process
      process = undefined
      if (!leaving?.isAlive()) return
      const finished = leaving.said('finished', 5000)
      leaving.tell({ do: 'finish' })
      try {
        await finished
        pool.giveBack(leaving)
      } catch {
        leaving.kill('SIGKILL')
        await leaving.ended
      }
    },
  }
}
