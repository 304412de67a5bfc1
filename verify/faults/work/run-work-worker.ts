/** A worker: a process that uses the library as a service would, and may be killed, stopped or blocked at any moment. */
import { createPrng } from '../../simulation/prng.ts'
import { monotonicMs } from '../history.ts'
import { openStore } from '../store-kinds.ts'
import { messageLane } from './message-lane.ts'
import { openWorkDatabase } from './open-work-database.ts'
import { taskLane } from './task-lane.ts'
import { tokenLane } from './token-lane.ts'
import type { DatabaseAddress } from './work-database.ts'
import { type WorkHistory, workHistory } from './work-events.ts'
import { loadWorkLibrary } from './work-library.ts'
import type { LaneName, WorkPlan } from './work-plan.ts'
import type { WorkLane, WorkRoom } from './work-room.ts'
import { workSinkClient } from './work-sink.ts'
import type { WorkAddress } from './work-stages.ts'

/** What a worker is told. */
export type WorkOrder =
  | {
      readonly do: 'open'
      readonly plan: WorkPlan
      readonly worker: number
      readonly life: number
      readonly file: string
      readonly address: WorkAddress
      readonly sinkPort: number
      readonly library: string
      readonly given: readonly string[]
      /** It does not end itself any more. */
      readonly calm: boolean
    }
  /** The time of faults has begun so long ago. */
  | { readonly do: 'go'; readonly sinceMs: number }
  | { readonly do: 'block'; readonly ms: number }
  | { readonly do: 'heal' }
  | { readonly do: 'finish' }

/** What it tells. */
export interface WorkReport {
  readonly did: 'ready' | 'opened' | 'settled' | 'finished' | 'failed'
  readonly message?: string
}

const OPEN: Readonly<Record<LaneName, (room: WorkRoom) => Promise<WorkLane>>> = {
  tokens: tokenLane,
  tasks: taskLane,
  messages: messageLane,
}

/** Where each lane may end itself; each is passed many times. */
const POINTS: Readonly<Record<LaneName, readonly [string, ...string[]]>> = {
  tokens: ['before-effect', 'after-effect'],
  tasks: ['before-effect', 'after-effect', 'before-commit', 'at-commit', 'after-commit'],
  messages: [
    'before-commit',
    'at-commit',
    'after-commit',
    'before-publish',
    'after-publish',
    'in-inbox',
    'after-inbox',
  ],
}

interface Part {
  readonly lane: WorkLane
  readonly history: WorkHistory
  readonly plan: WorkPlan
  going: Promise<void>
  startedAt: number
  over: boolean
}

let part: Part | undefined

process.on('disconnect', () => process.exit())
process.on('message', (order: WorkOrder) => {
  carryOut(order).catch((error: unknown) => {
    say({ did: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
say({ did: 'ready' })

function say(report: WorkReport): void {
  if (process.connected) process.send?.(report, () => {})
}

async function carryOut(order: WorkOrder): Promise<void> {
  switch (order.do) {
    case 'open':
      part = await open(order)
      say({ did: 'opened' })
      return
    case 'go':
      if (!part) return
      part.startedAt = monotonicMs() - order.sinceMs
      part.going = part.lane.go()
      return
    case 'block': {
      // Keeps the event loop from turning.
      const until = monotonicMs() + order.ms
      while (monotonicMs() < until);
      return
    }
    case 'heal':
      if (part) {
        part.over = true
        await part.going
        await part.lane.probe()
      }
      say({ did: 'settled' })
      return
    case 'finish': {
      const current = part
      part = undefined
      await current?.lane.close()
      current?.history.close()
      say({ did: 'finished' })
    }
  }
}

async function open(order: Extract<WorkOrder, { do: 'open' }>): Promise<Part> {
  const { plan, worker, life, address } = order
  const history = workHistory(order.file, `${worker}.${life}`)
  history.note({ k: 'start', worker, life })
  const library = await loadWorkLibrary(order.library)
  const database = (at: DatabaseAddress | undefined) => {
    if (at === undefined) throw new Error('there is no database here')
    return openWorkDatabase(library, at)
  }
  const made: { current?: Part } = {}
  const prng = createPrng((plan.seed * 31 + worker) * 31 + life + 7)
  const planned = { point: prng.pick(POINTS[plan.lane]), left: 1 + prng.int(8) }
  const willCrash = !order.calm && prng.chance(plan.crashes)
  const room: WorkRoom = {
    plan,
    worker,
    life,
    library,
    sink: await workSinkClient(order.sinkPort),
    note: history.note,
    given: order.given,
    isOver: () => made.current?.over === true,
    passed: () => Math.min(1, (monotonicMs() - (made.current?.startedAt ?? 0)) / plan.activeMs),
    crash(point) {
      if (!willCrash || point !== planned.point || made.current?.over === true || --planned.left > 0) return
      history.note({ k: 'crash', point })
      process.kill(process.pid, 'SIGKILL')
    },
    openStore: () => openStore(library, address.store),
    openMain: () => database(address.main),
    openOther: () => database(address.other),
  }
  made.current = {
    lane: await OPEN[plan.lane](room),
    history,
    plan,
    going: Promise.resolve(),
    startedAt: monotonicMs(),
    over: false,
  }
  return made.current
}
