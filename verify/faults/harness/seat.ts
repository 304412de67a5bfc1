import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type PooledWorker, type ProcessPool, WorkerEnded } from './process-pool.ts'
import type { TrialFault } from './trial-faults.ts'
import type { OpenOrder, TrialReport, WorkerOrder } from './trial-worker.ts'

/** Workers of trials. */
export type TrialPool = ProcessPool<WorkerOrder, TrialReport>

type Worker = PooledWorker<WorkerOrder, TrialReport>

/** A place for a worker in a trial: several processes may fill it, one after the other. */
export interface Seat {
  /** Fills it for the first time. @throws `Error` where the process cannot open its part. */
  fill(): Promise<void>
  /** Lets the callers begin. */
  go(startedAt: number): void
  /** Lets a fault befall the process that fills it. Answers whether there was one. */
  strike(fault: TrialFault): boolean
  /** Sees to it that somebody is there, whatever has happened; from now on nobody is replaced by himself. */
  ready(): Promise<void>
  /** Lets the worker settle; one that ends itself meanwhile is replaced and does it. */
  settle(): Promise<void>
  /** Lets the worker close what it has opened. */
  finish(): Promise<void>
  /** Ends whoever is there, and lets nobody in until the answer is called. */
  powerOff(): Promise<() => void>
  /** Gives the process back to the pool, or ends it where it is not known to be sound. */
  leave(isSound: boolean): Promise<void>
}

/** What a seat needs. */
export interface SeatRoom {
  readonly pool: TrialPool
  readonly folder: string
  /** The order to take part, but for what differs from life to life. */
  readonly order: Omit<OpenOrder<unknown, unknown>, 'worker' | 'life' | 'file' | 'calm'>
  /** How long it stays empty after its process has ended itself, in ms; one that is killed says so by its fault. */
  readonly emptyMs: number
  after(ms: number, act: () => void): void
  /** The history of one life is in this file. */
  onOpening(file: string): void
  /** Something hindered the trial itself, or befell a process that nothing was done to. */
  onTrouble(rule: 'trial' | 'alive', message: string): void
}

/** The longest time a worker may take for what it is told, in ms. */
const PATIENCE_MS = 90_000

/** How often a place is filled anew after the heal, before it is given up. */
const MOST_TRIES = 5

/** Makes an empty seat. */
export function seatOf(room: SeatRoom, worker: number): Seat {
  const { pool, folder, order, after } = room
  let life = 0
  let process: Worker | undefined
  let startedAt: number | undefined
  let replacing = true
  let killedForMs: number | undefined
  let opening: Promise<unknown> = Promise.resolve()
  const hinders = (error: unknown) => room.onTrouble('trial', `worker ${worker}: ${String(error)}`)

  const replaceIn = (ms: number) => {
    if (!replacing) return
    after(ms, () => {
      if (replacing) void fill()
    })
  }
  const go = () => {
    if (startedAt !== undefined) process?.tell({ do: 'go', sinceMs: performance.now() - startedAt })
  }
  const seated = (taken: Worker) => {
    process = taken
    void taken.ended.then((how) => {
      // A service must not die of an error event or a rejection that the library has left behind.
      if (how !== 'killed') room.onTrouble('alive', `worker ${worker} ended by itself: ${how}`)
      replaceIn(killedForMs ?? room.emptyMs)
      killedForMs = undefined
    })
    go()
  }
  /** Answers why nobody could be seated: the server may be away just now, or the process has ended itself already. */
  const open = async (): Promise<unknown> => {
    const file = join(folder, `worker-${worker}-${life}.jsonl`)
    const thisLife = life++
    const taken = await pool.take()
    const opened = taken.said('opened', PATIENCE_MS)
    // It may end before it writes a line.
    writeFileSync(file, '')
    room.onOpening(file)
    taken.tell({ ...order, worker, life: thisLife, file, calm: !replacing })
    try {
      await opened
    } catch (error) {
      taken.kill('SIGKILL')
      await taken.ended
      return error
    }
    seated(taken)
    return undefined
  }
  /** Fills the seat; once the callers have begun, whoever could not be seated is followed by another. */
  const fill = async (): Promise<unknown> => {
    const trying = open()
    opening = trying
    const error = await trying
    if (error !== undefined && startedAt !== undefined) replaceIn(room.emptyMs)
    return error
  }
  const ready = async () => {
    replacing = false
    process?.kill('SIGCONT')
    await opening
    let error: unknown
    for (let tries = 0; tries < MOST_TRIES && !process?.isAlive(); tries++) error = await fill()
    if (!process?.isAlive()) hinders(error)
  }
  const fillDisk = (struck: Worker, full: boolean) => struck.tell({ do: 'fill-disk', full })

  return {
    async fill() {
      const error = await fill()
      if (error !== undefined) throw error
    },
    go(now) {
      startedAt = now
      go()
    },
    strike({ kind, forMs }) {
      const struck = process
      if (!struck?.isAlive()) return false
      if (kind === 'block') struck.tell({ do: 'block', ms: forMs })
      else if (kind === 'stop') {
        struck.kill('SIGSTOP')
        after(forMs, () => struck.kill('SIGCONT'))
      } else if (kind === 'disk-full') {
        fillDisk(struck, true)
        after(forMs, () => fillDisk(struck, false))
      } else {
        killedForMs = forMs
        struck.kill('SIGKILL')
      }
      return true
    },
    ready,
    async settle() {
      for (let tries = 1; ; tries++) {
        await ready()
        if (!process?.isAlive()) return
        const settled = process.said('settled', PATIENCE_MS)
        process.tell({ do: 'heal' })
        try {
          return await settled
        } catch (error) {
          // A point at which it was to die may have been reached before it heard of the end of all faults.
          if (!(error instanceof WorkerEnded) || tries === MOST_TRIES) return hinders(error)
        }
      }
    },
    async finish() {
      const finished = process?.said('finished', PATIENCE_MS)
      process?.tell({ do: 'finish' })
      await finished?.catch(hinders)
    },
    async powerOff() {
      replacing = false
      process?.kill('SIGKILL')
      await opening
      process?.kill('SIGKILL')
      await process?.ended
      return () => {
        replacing = true
        void fill()
      }
    },
    async leave(isSound) {
      replacing = false
      process?.kill('SIGCONT')
      await opening
      const leaving = process
      process = undefined
      if (isSound && leaving?.isAlive()) pool.giveBack(leaving)
      else leaving?.kill('SIGKILL')
    },
  }
}
