import type { RedisScript, ReplicaWait } from '../drivers/redis/index.ts'
import type { RedisArgument, RedisLink } from '../drivers/redis/redis-link.ts'
import { type Attempt, type Attempts, evalWords } from './attempts.ts'
import { callHead } from './guard-lua.ts'

/** One attempt at an operation, as the script takes it. */
export interface GuardItem {
  readonly marker: string
  /** The marker, then the keys of the commands. */
  readonly keys: readonly RedisArgument[]
  readonly args: readonly RedisArgument[]
  /** About how much is sent for it, in bytes. */
  readonly bytes: number
  /** In a cluster: items of one slot share a call. */
  readonly slot: number
}

/** What the script answered to an item. */
export interface GuardAnswer {
  readonly answer: Buffer
  /** When the call left, on our monotonic clock in ms. */
  readonly sentAt: number
  /** How many replicas have acknowledged it, where they are waited for. */
  readonly acknowledged: number
}

/** Sends operations of concurrent callers in few script calls. */
export interface GuardBatches {
  /** Makes one attempt. Never rejects. */
  submit(item: GuardItem): Promise<Attempt<GuardAnswer>>
}

/** What {@link guardBatches} is made of. */
export interface GuardBatchSettings {
  readonly attempts: Attempts
  readonly script: RedisScript
  readonly maxReplyBytes: number
  readonly attemptTimeoutMs: number
  readonly wait: ReplicaWait | undefined
  readonly monotonic: () => number
}

/** The most that one call holds: a script keeps everybody else waiting while it runs. */
const MOST_ITEMS = 100
const MOST_BYTES = 256 * 1024
/** How many calls of one lane are on their way at once. With fewer, a slow network would keep back what could be sent. */
const MOST_CALLS = 16

interface Waiting {
  readonly item: GuardItem
  readonly resolve: (ended: Attempt<GuardAnswer>) => void
}

/** What goes over one way: everything, or in a cluster one slot. */
interface Lane {
  waiting: Waiting[]
  calls: number
  scheduled: boolean
}

/**
 * Gathers what callers submit in one turn of the event loop, and sends it in one call. While nothing is on its way,
 * nothing is kept back longer than that turn.
 */
export function guardBatches(settings: GuardBatchSettings): GuardBatches {
  const { attempts, script, wait } = settings
  const lanes = new Map<number, Lane>()

  const send = (lane: Lane, slot: number): void => {
    lane.scheduled = false
    while (lane.waiting.length > 0 && lane.calls < MOST_CALLS) {
      const batch = taken(lane)
      lane.calls++
      void call(batch).then(() => {
        lane.calls--
        if (lane.waiting.length > 0) send(lane, slot)
        else if (lane.calls === 0) lanes.delete(slot)
      })
    }
  }
  const call = async (batch: readonly Waiting[]): Promise<void> => {
    const keys: RedisArgument[] = []
    const args: RedisArgument[] = [callHead(settings.maxReplyBytes, batch.length)]
    for (const { item } of batch) {
      for (const key of item.keys) keys.push(key)
      for (const arg of item.args) args.push(arg)
    }
    let sentAt = 0
    const first = batch[0]?.item.marker
    const run = async (whole: boolean, link: RedisLink): Promise<readonly [unknown, number]> => {
      sentAt = settings.monotonic()
      const words = evalWords(script, whole, keys, args)
      if (wait === undefined) return [await link.send([words], first, undefined)[0], 0]
      // Sent together: WAIT speaks of what its own connection has written.
      const asks = ['WAIT', String(wait.replicas), String(wait.timeoutMs)]
      const [reply, count] = await Promise.allSettled(link.send([words, asks], first, undefined))
      if (reply?.status !== 'fulfilled') throw reply?.reason
      return [reply.value, count?.status === 'fulfilled' ? Number(count.value) : 0]
    }
    const ended = await attempts.make(settings.attemptTimeoutMs + (wait?.timeoutMs ?? 0), (link) =>
      run(false, link).catch((error: unknown) => {
        // Nothing has run: the server was restarted or its scripts were flushed.
        if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return run(true, link)
        throw error
      }),
    )
    if (ended.kind !== 'replied') {
      for (const { resolve } of batch) resolve(ended)
      return
    }
    const [reply, acknowledged] = ended.reply
    // Something else comes where somebody has opened a MULTI on the connection. Nothing is known by it.
    const answers: readonly unknown[] = Array.isArray(reply) ? reply : []
    for (const [place, { resolve }] of batch.entries()) {
      const answer = answers[place]
      resolve({
        kind: 'replied',
        reply: {
          answer: Buffer.isBuffer(answer) ? answer : Buffer.from(typeof answer === 'string' ? answer : ''),
          sentAt,
          acknowledged,
        },
      })
    }
  }
  return {
    submit: (item) =>
      new Promise((resolve) => {
        let lane = lanes.get(item.slot)
        if (lane === undefined) {
          lane = { waiting: [], calls: 0, scheduled: false }
          lanes.set(item.slot, lane)
        }
        lane.waiting.push({ item, resolve })
        if (lane.scheduled || lane.calls >= MOST_CALLS) return
        lane.scheduled = true
        const own = lane
        queueMicrotask(() => send(own, item.slot))
      }),
  }
}

/** Takes from a lane what fits into one call; at least one. */
function taken(lane: Lane): readonly Waiting[] {
  let bytes = 0
  let count = 0
  for (const { item } of lane.waiting) {
    bytes += item.bytes
    if (count > 0 && (count >= MOST_ITEMS || bytes > MOST_BYTES)) break
    count++
  }
  const batch = lane.waiting.slice(0, count)
  lane.waiting = lane.waiting.slice(count)
  return batch
}
