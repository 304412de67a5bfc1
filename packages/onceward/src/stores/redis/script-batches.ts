import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import {
  failure,
  type RedisConnection,
  type RedisReply,
  type RedisScript,
  type ReplicaWait,
  replyFailure,
} from '../../drivers/redis/index.ts'
import { type ByteWriter, byteWriter } from './byte-writer.ts'
import { BUCKETS, type Bucket, type KeyLayout } from './key-layout.ts'
import type { Item } from './transition-items.ts'

/** Sends the transitions of concurrent callers in few script calls. */
export interface ScriptBatches {
  /** Carries out one transition. @throws an error of ours, with the mend. */
  submit<Reply>(item: Item<Reply>): Promise<Reply>
  /** Carries out a transition that writes to the audit: its item is made with the place of the audit's key. */
  submitAudited<Reply>(digest: string, make: (audit: () => number) => Item<Reply>): Promise<Reply>
  /** Takes nothing more, and resolves once all that was taken is answered. */
  close(): Promise<void>
}

/** What {@link scriptBatches} is made of. */
export interface BatchSettings {
  readonly connection: RedisConnection
  readonly script: RedisScript
  readonly layout: KeyLayout
  readonly clock: Clock
  readonly maxBatch: number
  /** How many calls of one lane may be on their way. */
  readonly maxInFlight: number
  readonly wait: ReplicaWait | undefined
}

/** More bytes than these are not gathered into one call. */
const MAX_BYTES = 1024 * 1024
const HEADER_BYTES = 19
/** Fewer transitions than these are not spread over two calls. */
const PACED = 32
/** For so many items the index of one bucket is cleaned: of at most 64 entries, so it shrinks faster than it grows. */
const CLEAN_EVERY = 16

/** A transition that waits for its answer. */
interface Caller {
  readonly item: Item<unknown>
  readonly resolve: (reply: never) => void
  readonly reject: (error: unknown) => void
}

/** Transitions that are sent together. */
interface Batch {
  readonly to: ByteWriter
  readonly callers: Caller[]
  readonly records: string[]
  readonly audits: string[]
  readonly buckets: Bucket[]
  /** The place of each bucket in `buckets`, from 1. */
  readonly places: Uint8Array
  /** Until when the answer is waited for, on the monotonic clock in ms. */
  readonly dueAt: number
}

/** What goes over one way: everything, or in a cluster one bucket. */
interface Lane {
  open: Batch | undefined
  readonly full: Batch[]
  inFlight: number
  scheduled: boolean
  /** The most transitions of the next call. */
  most: number
  /** Items since the index was cleaned last. */
  uncleaned: number
  /** Where among the buckets of a call the next clean-up begins. */
  cleanedTo: number
  /** What the server's clock is ahead of our monotonic one, at most, in ms; unknown at first. */
  aheadMs: number | undefined
  /** How large the last call was, to begin the next with. */
  size: number
}

/**
 * Gathers transitions.
 *
 * - Those of one turn of the event loop leave together, at once when nothing is on its way; later ones gather while
 *   `maxInFlight` calls are.
 * - In a cluster each bucket has its own calls, for the keys of one call lie in one hash slot.
 * - What is handed over is copied at once: it may be changed afterwards.
 * - A claim that reaches the server after its caller has given up grants nothing.
 */
export function scriptBatches(settings: BatchSettings): ScriptBatches {
  const { connection, script, layout, clock, maxBatch, maxInFlight, wait } = settings
  const lanes = Array.from({ length: connection.cluster ? BUCKETS : 1 }, () => newLane(maxBatch))
  const idle: (() => void)[] = []
  let closed = false

  const newBatch = (lane: Lane): Batch => {
    const to = byteWriter(lane.size + 256)
    // The header is written when the batch leaves.
    for (let index = 0; index < HEADER_BYTES; index++) to.byte(0)
    return {
      to,
      callers: [],
      records: [],
      audits: [],
      buckets: [],
      places: new Uint8Array(BUCKETS),
      dueAt: clock.monotonic() + connection.timeoutMs,
    }
  }

  function add<Reply>(digest: string, make: (batch: Batch, bucket: Bucket) => Item<Reply>): Promise<Reply> {
    if (closed) return Promise.reject(closedError(connection.where))
    const bucket = layout.bucketOf(digest)
    const lane = lanes[connection.cluster ? bucket.number : 0] as Lane
    return new Promise<Reply>((resolve, reject) => {
      lane.open ??= newBatch(lane)
      const batch = lane.open
      const item = make(batch, bucket)
      const { to } = batch
      to.byte(item.op)
      to.uint16(placeOf(batch, bucket))
      const start = to.begin()
      item.write(to)
      to.end(start)
      batch.records.push(bucket.record + digest)
      batch.callers.push({ item, resolve, reject })
      if (batch.callers.length >= lane.most || to.length >= MAX_BYTES) {
        lane.full.push(batch)
        lane.open = undefined
      }
      schedule(lane)
    })
  }
  function schedule(lane: Lane): void {
    if (lane.scheduled || lane.inFlight >= maxInFlight) return
    lane.scheduled = true
    queueMicrotask(() => {
      lane.scheduled = false
      flush(lane)
    })
  }
  function flush(lane: Lane): void {
    while (lane.inFlight < maxInFlight) {
      const batch = lane.full.shift() ?? lane.open
      if (batch === undefined) break
      if (batch === lane.open) lane.open = undefined
      lane.inFlight++
      lane.size = batch.to.length
      void send(lane, batch).then(() => {
        lane.inFlight--
        flush(lane)
        if (closed) for (const done of idle.splice(0)) done()
      })
    }
  }
  async function send(lane: Lane, batch: Batch): Promise<void> {
    const sentAt = clock.monotonic()
    try {
      const keys = keysOf(batch)
      const packed = withHeader(lane, batch)
      const timeoutMs = Math.max(1, batch.dueAt - sentAt)
      let replies: RedisReply
      if (wait) {
        const [reply, acknowledged] = await connection.scriptAcknowledged(script, keys, [packed], wait)
        replies = reply
        if (acknowledged < wait.replicas) throw tooFew(connection.where, acknowledged, wait)
      } else replies = await connection.script(script, keys, [packed], { timeoutMs })
      if (!Array.isArray(replies)) throw failure('STORE_UNAVAILABLE', `${connection.where} answered no list`)
      lane.aheadMs = Math.min(lane.aheadMs ?? Number.MAX_VALUE, Number(replies[0]) - sentAt)
      if (lane.inFlight < maxInFlight && batch.callers.length >= PACED) pace(lane, batch.callers.length)
      for (let index = 0; index < batch.callers.length; index++) {
        const reply = replies[index + 1] as RedisReply
        // Refused as late and yet heard of in time: the server's clock was set, or it is another server.
        if (reply instanceof Buffer && reply[0] === LATE) lane.aheadMs = Number(replies[0]) - sentAt
        settle(batch.callers[index] as Caller, reply)
      }
    } catch (error) {
      // Those that are settled already hear nothing of it.
      for (const caller of batch.callers) caller.reject(error)
    }
  }
  /**
   * Callers that all got their answers together will all ask again together, and then server and process take turns.
   * What follows straight on such an answer leaves in two calls, so that each works while the other does.
   */
  function pace(lane: Lane, count: number): void {
    lane.most = Math.ceil(count / 2)
    setImmediate(() => {
      lane.most = maxBatch
    })
  }
  function settle({ item, resolve, reject }: Caller, reply: RedisReply): void {
    try {
      if (reply instanceof Buffer && reply[0] === ERROR)
        throw itemError(reply.toString('utf8', 1), item.digest)
      resolve(item.read(reply) as never)
    } catch (error) {
      reject(error instanceof OncewardError ? error : corrupt(item.digest, error))
    }
  }
  function itemError(text: string, digest: string): unknown {
    if (text === 'FOREIGN') return corrupt(digest, new Error(text))
    if (/WRONGTYPE/.test(text)) return wrongType(digest, new Error(text))
    return (
      replyFailure(text, connection) ?? failure('STORE_UNAVAILABLE', `${connection.where} failed: ${text}`)
    )
  }
  function corrupt(digest: string, cause: unknown): OncewardError {
    const key = layout.bucketOf(digest).record + digest
    const message = `the key ${key} in ${connection.where} holds something else than a record of this store; settle by hand what became of the operation, then delete the key, and give the store a prefix of its own`
    return new OncewardError('STORE_CORRUPT', message, { cause, effect: 'unknown' })
  }
  /** Redis does not say which key it is; to delete the record where it is the index would let the operation run again. */
  function wrongType(digest: string, cause: unknown): OncewardError {
    const { record, created, state, audit } = layout.bucketOf(digest)
    const message = `one of the keys ${record}${digest}, ${created}, ${state} and ${audit} in ${connection.where} is of another type than this store makes it (string, zset, zset, list); look with TYPE, delete that one key, where it is the first only once it is settled by hand what became of the operation, and give the store a prefix of its own`
    return new OncewardError('STORE_CORRUPT', message, { cause, effect: 'unknown' })
  }
  function withHeader(lane: Lane, batch: Batch): Buffer {
    const bytes = batch.to.bytes()
    lane.uncleaned += batch.callers.length
    const cleans = Math.floor(lane.uncleaned / CLEAN_EVERY)
    lane.uncleaned -= cleans * CLEAN_EVERY
    lane.cleanedTo = (lane.cleanedTo + cleans) % 0xffff
    const notAfter = lane.aheadMs === undefined ? 0 : Math.floor(batch.dueAt + lane.aheadMs)
    bytes.writeUInt16LE(batch.buckets.length, 0)
    bytes.writeUInt16LE((batch.buckets[0] as Bucket).record.length + 1, 2)
    bytes.writeUInt8(wait ? 1 : 0, 4)
    bytes.writeDoubleLE(notAfter, 5)
    bytes.writeUInt16LE(lane.cleanedTo, 13)
    bytes.writeUInt16LE(Math.min(cleans, batch.buckets.length), 15)
    bytes.writeUInt16LE(batch.callers.length, 17)
    return bytes
  }

  return {
    submit: (item) => add(item.digest, () => item),
    submitAudited: (digest, make) =>
      add(digest, (batch, bucket) => {
        batch.audits.push(bucket.audit)
        const index = batch.audits.length
        return make(() => index)
      }),
    async close() {
      closed = true
      while (lanes.some((lane) => lane.inFlight > 0 || lane.scheduled)) {
        await new Promise<void>((resolve) => idle.push(resolve))
      }
    },
  }
}

const ERROR = 'E'.charCodeAt(0)
const LATE = 'l'.charCodeAt(0)

function newLane(most: number): Lane {
  return {
    most,
    open: undefined,
    full: [],
    inFlight: 0,
    scheduled: false,
    uncleaned: 0,
    cleanedTo: 0,
    aheadMs: undefined,
    size: 0,
  }
}

function placeOf(batch: Batch, bucket: Bucket): number {
  const known = batch.places[bucket.number] ?? 0
  if (known > 0) return known
  batch.buckets.push(bucket)
  batch.places[bucket.number] = batch.buckets.length
  return batch.buckets.length
}

function keysOf({ buckets, records, audits }: Batch): string[] {
  const keys: string[] = []
  for (const { created, state } of buckets) keys.push(created, state)
  return keys.concat(records, audits)
}

/** The answer after the store was closed. */
export function closedError(where: string): OncewardError {
  return failure('CLOSED', `this store on ${where} was closed; make another one`)
}

/** The transition stands on the primary, but a failover could undo it: the caller has to ask again. */
function tooFew(where: string, acknowledged: number, { replicas, timeoutMs }: ReplicaWait): OncewardError {
  return failure(
    'STORE_UNAVAILABLE',
    `${acknowledged} of ${replicas} replicas of ${where} acknowledged a write within ${timeoutMs} ms; bring the replicas back, or ask for fewer`,
  )
}
