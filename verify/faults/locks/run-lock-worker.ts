/** A worker: a process that uses locks as a service would, and may be killed, stopped or blocked at any moment. */
import { eventLog } from '../harness/event-log.ts'
import { watchLag } from '../harness/lag-watch.ts'
import { sinkClient } from '../harness/sink-server.ts'
import { type OpenOrder, serveTrials, type Part as TrialPart } from '../harness/trial-worker.ts'
import type { LockEvent } from './lock-events.ts'
import type { LockPlan } from './lock-plan.ts'
import type { SinkAnswer, SinkRequest } from './lock-sink.ts'
import { type LockAddress, loadLockLibrary } from './lock-stores.ts'
import { keepAsking, type LockRoom, PROBE_WAIT_MS, probe } from './lock-work.ts'

interface Part {
  readonly room: LockRoom
  readonly callers: Promise<void>[]
  over: boolean
}

serveTrials<LockPlan, LockAddress>(open)

async function open(order: OpenOrder<LockPlan, LockAddress>): Promise<TrialPart> {
  const { plan, worker, life, file } = order
  const history = eventLog<LockEvent>(file, `${worker}.${life}`)
  history.note({ k: 'start', worker, life })
  const library = await loadLockLibrary(order.library)
  const sink = await sinkClient<SinkRequest, SinkAnswer>(order.sinkPort)
  const opened = await library.open(order.address)
  const { leaseMs, renew, fair, localHandovers } = plan
  const locks = library.createLocks(opened.backend, {
    ttlMs: leaseMs,
    renew,
    fair,
    localHandovers,
    owner: `worker ${worker}.${life}`,
  })
  const made: Part = {
    callers: [],
    over: false,
    room: {
      plan,
      worker,
      life,
      locks,
      library,
      sink,
      note: history.note,
      isOver: () => made.over,
      underWay: new Set(),
    },
  }
  return {
    go() {
      for (let nth = 0; nth < plan.callers; nth++) made.callers.push(keepAsking(made.room, nth))
    },
    heal: () => heal(made),
    async finish() {
      await locks.close()
      await opened.end()
      history.close()
    },
  }
}

/** Ends the asking, waits until every call has ended, and asks for every lock once more. */
async function heal(current: Part): Promise<void> {
  const { room, callers } = current
  const lag = watchLag()
  current.over = true
  const settled = Promise.all(callers).then(() => probe(room))
  const patience = new Promise((resolve) => setTimeout(resolve, room.plan.waitMs + PROBE_WAIT_MS + 5_000))
  await Promise.race([settled, patience])
  room.note({ k: 'lag', ms: lag() })
  if (room.underWay.size > 0) room.note({ k: 'unsettled', worker: room.worker, calls: [...room.underWay] })
}
