/** A worker: a process that uses the library as a service would, and may be killed, stopped or blocked at any moment. */
import { createPrng } from '../../simulation/prng.ts'
import { eventLog, monotonicMs } from '../harness/event-log.ts'
import { sinkClient } from '../harness/sink-server.ts'
import { type OpenOrder, type Part, serveTrials } from '../harness/trial-worker.ts'
import { openStore } from '../store-kinds.ts'
import { dedupeLane } from './dedupe-lane.ts'
import { guardLane } from './guard-lane.ts'
import { messageLane } from './message-lane.ts'
import { openWorkDatabase } from './open-work-database.ts'
import { taskLane } from './task-lane.ts'
import { tokenLane } from './token-lane.ts'
import type { DatabaseAddress } from './work-database.ts'
import type { WorkEvent } from './work-events.ts'
import { loadWorkLibrary } from './work-library.ts'
import type { LaneName, WorkPlan } from './work-plan.ts'
import type { WorkLane, WorkRoom } from './work-room.ts'
import type { SinkAnswer, SinkRequest } from './work-sink.ts'
import type { WorkAddress } from './work-stages.ts'

const OPEN: Readonly<Record<LaneName, (room: WorkRoom) => Promise<WorkLane>>> = {
  tokens: tokenLane,
  tasks: taskLane,
  messages: messageLane,
  dedupe: dedupeLane,
  guards: guardLane,
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
  dedupe: ['at-call', 'after-call'],
  guards: ['in-transaction', 'before-commit', 'at-commit', 'after-commit'],
}

interface Life {
  going: Promise<void>
  startedAt: number
  over: boolean
}

serveTrials<WorkPlan, WorkAddress>(open)

async function open(order: OpenOrder<WorkPlan, WorkAddress>): Promise<Part> {
  const { plan, worker, life, address } = order
  const history = eventLog<WorkEvent>(order.file, `${worker}.${life}`)
  history.note({ k: 'start', worker, life, leaseMs: plan.leaseMs })
  const library = await loadWorkLibrary(order.library)
  const database = (at: DatabaseAddress | undefined) => {
    if (at === undefined) throw new Error('there is no database here')
    return openWorkDatabase(library, at)
  }
  const state: Life = { going: Promise.resolve(), startedAt: monotonicMs(), over: false }
  const prng = createPrng((plan.seed * 31 + worker) * 31 + life + 7)
  const planned = { point: prng.pick(POINTS[plan.lane]), left: 1 + prng.int(8) }
  const willCrash = !order.calm && prng.chance(plan.crashes)
  const room: WorkRoom = {
    plan,
    worker,
    life,
    library,
    sink: await sinkClient<SinkRequest, SinkAnswer>(order.sinkPort),
    note: history.note,
    given: order.given,
    isOver: () => state.over,
    passed: () => Math.min(1, (monotonicMs() - state.startedAt) / plan.activeMs),
    crash(point) {
      if (!willCrash || point !== planned.point || state.over || --planned.left > 0) return
      history.note({ k: 'crash', point })
      process.kill(process.pid, 'SIGKILL')
    },
    openStore: () => openStore(library, address.store),
    openMain: () => database(address.main),
    openOther: () => database(address.other),
  }
  const lane = await OPEN[plan.lane](room)
  return {
    go(sinceMs) {
      state.startedAt = monotonicMs() - sinceMs
      state.going = lane.go()
    },
    async heal() {
      state.over = true
      await state.going
      await lane.probe()
    },
    async finish() {
      await lane.close()
      history.close()
    },
  }
}
