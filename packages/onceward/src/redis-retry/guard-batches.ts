import type { RedisScript, ReplicaWait } from '../drivers/redis/index.ts'
import type { RedisArgument, RedisLink } from '../drivers/redis/redis-link.ts'
import type { Attempt, Attempts } from './attempts.ts'

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
  readonly attemptTimeoutMs: number
  readonly wait: ReplicaWait | undefined
  readonly monotonic: () => number
}

/** The most that one call holds: a script keeps everybody else waiting while it runs. */
const MOST_ITEMS = 100
const MOST_BYTES = 256 * 1024
/** How many calls of one lane are on their way at once. With fewer, a slow network would keep back what could be sent. */
const MOST_CALLS = 16
/** So many lanes without anything on its way are kept for those who come next. */
const MOST_IDLE = 100

interface Waiting {
  readonly item: GuardItem
  readonly resolve: (ended: Attempt<GuardAnswer>) => void
}

/** What goes over one way: everything, or in a cluster one slot. */
interface Lane {
  readonly slot: number
  waiting: Waiting[]
  calls: number
  scheduled: boolean
}

/**
 * Gathers what callers submit in one turn of the event loop, and sends it in one call. While nothing is on its way,
 * nothing is kept back longer than that turn.
 */
export function guardBatches({
  attempts,
  script,
  attemptTimeoutMs,
  wait,
  monotonic,
}: GuardBatchSettings): GuardBatches {
  const lanes = new Map<number, Lane>()
  const limitMs = attemptTimeoutMs + (wait?.timeoutMs ?? 0)
  const turn = Promise.resolve()

  const send = (lane: Lane): void => {
    lane.scheduled = false
    while (lane.waiting.length > 0 && lane.calls < MOST_CALLS) {
      lane.calls++
      call(lane, taken(lane), false, limitMs)
    }
  }
  const call = (lane: Lane, batch: readonly Waiting[], whole: boolean, withinMs: number): void => {
    let sentAt = 0
    let acknowledged = 0
    const run = (link: RedisLink, _signal: unknown, now: number): Promise<unknown> => {
      sentAt = now
      const words = callWords(script, whole, batch)
      const marker = batch[0]?.item.marker
      if (wait === undefined) return link.send([words], marker, undefined)[0] as Promise<unknown>
      return replicated(link, words, marker, wait, (replicas) => {
        acknowledged = replicas
      })
    }
    void attempts.make(withinMs, run).then((ended) => {
      if (!whole && ended.kind === 'refused' && ended.text.startsWith('NOSCRIPT')) {
        // Nothing has run: the server was restarted or its scripts were flushed.
        return call(lane, batch, true, Math.max(1, withinMs - (monotonic() - sentAt)))
      }
      deliver(batch, ended, sentAt, acknowledged)
      lane.calls--
      if (lane.waiting.length > 0) send(lane)
      else if (lane.calls === 0 && lanes.size > MOST_IDLE) lanes.delete(lane.slot)
    })
  }
  const laneOf = (slot: number): Lane => {
    const known = lanes.get(slot)
    if (known !== undefined) return known
    const lane = { slot, waiting: [], calls: 0, scheduled: false }
    lanes.set(slot, lane)
    return lane
  }
  return {
    submit: (item) =>
      new Promise((resolve) => {
        const lane = laneOf(item.slot)
        lane.waiting.push({ item, resolve })
        if (lane.scheduled || lane.calls >= MOST_CALLS) return
        lane.scheduled = true
        // Cheaper than `queueMicrotask`.
        void turn.then(() => send(lane))
      }),
  }
}

/** Sends a call, and counts the replicas that have acknowledged it. */
async function replicated(
  link: RedisLink,
  words: readonly RedisArgument[],
  key: string | undefined,
  wait: ReplicaWait,
  counted: (replicas: number) => void,
): Promise<unknown> {
  // Sent together: WAIT speaks of what its own connection has written.
  const asks = ['WAIT', String(wait.replicas), String(wait.timeoutMs)]
  const [reply, count] = await Promise.allSettled(link.send([words, asks], key, undefined))
  if (reply?.status !== 'fulfilled') throw reply?.reason
  if (count?.status === 'fulfilled') counted(Number(count.value))
  return reply.value
}

/** The words of a call that runs the script by its digest, or by its text. */
function callWords(script: RedisScript, whole: boolean, batch: readonly Waiting[]): readonly RedisArgument[] {
  let count = 0
  for (const { item } of batch) count += item.keys.length
  const words: RedisArgument[] = [whole ? 'EVAL' : 'EVALSHA', whole ? script.text : script.sha, String(count)]
  for (const { item } of batch) for (const key of item.keys) words.push(key)
  for (const { item } of batch) for (const arg of item.args) words.push(arg)
  return words
}

/** Hands each what was answered to it. */
function deliver(
  batch: readonly Waiting[],
  ended: Attempt<unknown>,
  sentAt: number,
  acknowledged: number,
): void {
  if (ended.kind !== 'replied') {
    for (const { resolve } of batch) resolve(ended)
    return
  }
  const { reply } = ended
  const alone = batch.length === 1
  for (let place = 0; place < batch.length; place++) {
    const given: unknown = alone ? reply : Array.isArray(reply) ? reply[place] : ''
    // Something else comes where somebody has opened a MULTI on the connection. Nothing is known by it.
    const answer = Buffer.isBuffer(given) ? given : Buffer.from(typeof given === 'string' ? given : '')
    batch[place]?.resolve({ kind: 'replied', reply: { answer, sentAt, acknowledged } })
  }
}

/** Takes from a lane what fits into one call; at least one. */
function taken(lane: Lane): readonly Waiting[] {
  const { waiting } = lane
  let bytes = 0
  let count = 0
  for (const { item } of waiting) {
    bytes += item.bytes
    if (count > 0 && (count >= MOST_ITEMS || bytes > MOST_BYTES)) break
    count++
  }
  lane.waiting = waiting.slice(count)
  return count === waiting.length ? waiting : waiting.slice(0, count)
}
