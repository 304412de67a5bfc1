/** A worker: a process that uses locks as a service would, and may be killed, stopped or blocked at any moment. */
import { monotonicMs } from '../history.ts'
import { type LockHistory, lockHistory } from './lock-events.ts'
import type { LockPlan } from './lock-plan.ts'
import { lockSinkClient } from './lock-sink.ts'
import { type LockAddress, loadLockLibrary, type OpenedLockBackend } from './lock-stores.ts'
import { keepAsking, type LockRoom, PROBE_WAIT_MS, probe } from './lock-work.ts'

/** What a worker is told. */
export type LockOrder =
  | {
      readonly do: 'open'
      readonly plan: LockPlan
      readonly worker: number
      readonly life: number
      readonly file: string
      readonly address: LockAddress
      readonly sinkPort: number
      readonly library: string
    }
  | { readonly do: 'go' }
  | { readonly do: 'block'; readonly ms: number }
  | { readonly do: 'heal' }
  | { readonly do: 'finish' }

/** What it tells. */
export interface LockReport {
  readonly did: 'ready' | 'opened' | 'settled' | 'finished' | 'failed'
  readonly message?: string
}

interface Part {
  readonly room: LockRoom
  readonly history: LockHistory
  readonly opened: OpenedLockBackend
  readonly callers: Promise<void>[]
  over: boolean
}

let part: Part | undefined

process.on('disconnect', () => process.exit())
process.on('message', (order: LockOrder) => {
  carryOut(order).catch((error: unknown) => {
    say({ did: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
say({ did: 'ready' })

function say(report: LockReport): void {
  if (process.connected) process.send?.(report, () => {})
}

async function carryOut(order: LockOrder): Promise<void> {
  switch (order.do) {
    case 'open':
      part = await open(order)
      say({ did: 'opened' })
      return
    case 'go':
      if (part) go(part)
      return
    case 'block':
      block(order.ms)
      return
    case 'heal':
      if (part) await heal(part)
      say({ did: 'settled' })
      return
    case 'finish':
      await finish()
      say({ did: 'finished' })
  }
}

async function open(order: Extract<LockOrder, { do: 'open' }>): Promise<Part> {
  const { plan, worker, life, file } = order
  const history = lockHistory(file, `${worker}.${life}`)
  history.note({ k: 'start', worker, life })
  const library = await loadLockLibrary(order.library)
  const sink = await lockSinkClient(order.sinkPort)
  const opened = await library.open(order.address)
  const { ttlMs, renew, fair, localHandovers } = plan
  const locks = library.createLocks(opened.backend, {
    ttlMs,
    renew,
    fair,
    localHandovers,
    owner: `worker ${worker}.${life}`,
  })
  const made: Part = {
    history,
    opened,
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
  return made
}

function go({ room, callers }: Part): void {
  for (let nth = 0; nth < room.plan.callers; nth++) callers.push(keepAsking(room, nth))
}

/** Keeps the event loop from turning. */
function block(ms: number): void {
  const until = monotonicMs() + ms
  while (monotonicMs() < until);
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

async function finish(): Promise<void> {
  const current = part
  part = undefined
  if (!current) return
  await current.room.locks.close()
  await current.opened.end()
  current.history.close()
}

/** Measures how long this process is kept from running; answers the longest time, in ms. */
function watchLag(): () => number {
  let last = monotonicMs()
  let longest = 0
  const timer = setInterval(() => {
    const now = monotonicMs()
    longest = Math.max(longest, now - last - 10)
    last = now
  }, 10)
  return () => {
    clearInterval(timer)
    return Math.round(longest)
  }
}
