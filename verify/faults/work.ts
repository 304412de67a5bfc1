import { randomUUID } from 'node:crypto'
import type { HeldOperation, Operation, Reconciliation, TransactionOperation } from 'onceward'
import { accountOf, type WriteBusiness } from './business.ts'
import type { CrashPlan } from './crash-plan.ts'
import type { Library } from './library.ts'
import { canaryOf, type PlannedCall, type PlannedKey, type StorePlan, trialOf } from './plan.ts'
import type { AskSink } from './store-sink.ts'
import type { Note } from './tap.ts'

/** What the work of one worker needs. */
export interface WorkRoom {
  readonly plan: StorePlan
  readonly worker: number
  readonly library: Library
  readonly sink: AskSink
  readonly crash: CrashPlan
  readonly note: Note
  readonly write: WriteBusiness | undefined
  /** What the driver threw inside the work: that is the work's own error. */
  readonly thrown: WeakSet<object>
}

/** What an operation answers: who did it, and a text that no other caller may see. */
export interface Receipt {
  readonly op: string
  readonly input: number
  readonly nonces: readonly string[]
  readonly canary: string
}

/** Makes the work of one call, `id` being this asking of it. */
export function workOf(
  room: WorkRoom,
  call: PlannedCall,
  key: PlannedKey,
  id: string,
): (op: Operation) => Promise<Receipt> {
  const { crash, note } = room
  return (op) =>
    noted(room, id, key, op, async () => {
      crash.reach('work:begun')
      await sleep(call.beforeMs)
      // Whoever was taken over may come back: the longer this takes, the sooner the two meet.
      if (op.takenOver && room.plan.seed % 3 > 0) await sleep(room.plan.leaseMs * 0.7)
      throwBefore(room, call, key)
      crash.reach('work:before-effect')
      const nonces =
        key.mode === 'steps'
          ? await inSteps(room, call, key, id, op)
          : [await effect(room, call, key, id, op, 'all')]
      crash.reach('work:after-effect')
      if (call.behaviour === 'throw-after') throw new Error('own: after the effect')
      await sleep(call.afterMs)
      note({ k: 'end', call: id, fence: op.fence })
      return receipt(key, call, nonces)
    })
}

/** The work of a transaction: all of it on the handle, synchronously where the driver is. */
export function transactionWorkOf(
  room: WorkRoom,
  call: PlannedCall,
  key: PlannedKey,
  id: string,
  isSync: boolean,
): (tx: never, op: TransactionOperation) => Receipt | Promise<Receipt> {
  const { crash, note, plan } = room
  const nonce = randomUUID()
  const write = (tx: never, op: TransactionOperation): Promise<void> | undefined => {
    const [first, second] = key.accounts
    const accounts = [accountOf(plan.run, plan.seed, first), accountOf(plan.run, plan.seed, second)] as const
    return room.write?.(tx, { scope: key.scope, key: key.key, call: id, fence: op.fence, nonce, accounts })
  }
  const after = (op: TransactionOperation) => {
    crash.reach('transaction:written')
    if (call.behaviour === 'throw-after') throw new Error('own: after the writes')
    note({ k: 'end', call: id, fence: op.fence })
    return receipt(key, call, [nonce])
  }
  const before = (op: TransactionOperation) => {
    const { fence, attempt, takenOver } = op
    note({ k: 'begin', call: id, op: key.op, fence, attempt, takenOver })
    crash.reach('transaction:begun')
    throwBefore(room, call, key)
  }
  if (isSync) {
    return (tx, op) => {
      before(op)
      void write(tx, op)
      return after(op)
    }
  }
  return async (tx, op) => {
    before(op)
    await sleep(call.beforeMs / 8)
    await Promise.resolve(write(tx, op)).catch((error: unknown) => {
      if (typeof error === 'object' && error !== null) room.thrown.add(error)
      throw error
    })
    await sleep(call.afterMs / 8)
    return after(op)
  }
}

/** Asks the sink what became of a held operation. The sink makes sure that what it says stays true. */
export async function consult(room: WorkRoom, held: HeldOperation): Promise<Reconciliation> {
  const op = `${held.scope}/${held.key}`
  const told = await room.sink({ do: 'settle', trial: trialOf(room.plan), op, fence: held.fence })
  const answer = told.answer === 'done' ? 'done' : 'not-happened'
  room.note({ k: 'told', op, fence: held.fence, answer })
  if (told.answer !== 'done') return { outcome: 'not-happened' }
  // The receipt is rebuilt from what the sink knows, as one would ask a payment provider for it.
  const { input, nonce } = told
  return { outcome: 'done', value: { op, input, nonces: [nonce], canary: canaryOf(op, input) } }
}

async function noted(
  room: WorkRoom,
  call: string,
  key: PlannedKey,
  op: Operation,
  body: () => Promise<Receipt>,
): Promise<Receipt> {
  const { fence, attempt, takenOver } = op
  room.note({ k: 'begin', call, op: key.op, fence, attempt, takenOver })
  try {
    return await body()
  } catch (error) {
    room.note({ k: 'end', call, fence, threw: String(error).slice(0, 200) })
    throw error
  }
}

function throwBefore({ library }: WorkRoom, { behaviour, input }: PlannedCall, { op }: PlannedKey): void {
  if (behaviour === 'no-effect') throw library.noEffect(new Error('own: nothing happened'))
  if (behaviour === 'throw-before') throw new Error('own: before the effect')
  if (behaviour === 'final')
    throw library.finalFailure(new Error(`own: refused for good ${canaryOf(op, input)}`))
}

async function inSteps(
  room: WorkRoom,
  call: PlannedCall,
  key: PlannedKey,
  id: string,
  op: Operation,
): Promise<string[]> {
  const first = await op.step('first', () => effect(room, call, key, id, op, 'first'))
  const once = await op.step('once', () => effect(room, call, key, id, op, 'once'), { onCrash: 'hold' })
  const last = await op.step('last', () => effect(room, call, key, id, op, 'last'))
  return [first, once, last]
}

/** Has an effect in the world outside. Answers the nonce under which the sink knows it. */
async function effect(
  room: WorkRoom,
  { input }: PlannedCall,
  key: PlannedKey,
  call: string,
  op: Operation,
  part: string,
): Promise<string> {
  const { plan, sink, worker, note, library } = room
  const { fence, attempt } = op
  const deduplicated = key.mode === 'downstream' || (key.mode === 'steps' && part !== 'once')
  const reply = await sink({
    do: 'effect',
    trial: trialOf(plan),
    op: key.op,
    part,
    call,
    worker,
    fence,
    attempt,
    input,
    nonce: randomUUID(),
    ...(deduplicated ? { dedupe: op.downstreamKey(`sink-${part}`) } : {}),
    ...(key.mode === 'rerun' ? { fenced: true } : {}),
  })
  if (reply.answer === 'done') {
    note({ k: 'acked', call, nonce: reply.nonce, first: reply.first })
    if (part === 'once') room.crash.reach('step:after-effect')
    return reply.nonce
  }
  note({ k: 'stale', call, op: key.op, fence })
  throw library.noEffect(new Error('own: refused as stale'))
}

function receipt(key: PlannedKey, call: PlannedCall, nonces: readonly string[]): Receipt {
  return { op: key.op, input: call.input, nonces, canary: canaryOf(key.op, call.input) }
}

function sleep(ms: number): Promise<void> {
  return ms < 1 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms))
}
