import type { Once } from 'onceward'
import type { Noted } from './history.ts'
import type { PlannedCall, PlannedKey } from './plan.ts'
import { consult, type Receipt, transactionWorkOf, type WorkRoom, workOf } from './work.ts'

/** What one asking came to. */
type Came =
  | { readonly settled: true }
  | {
      readonly settled: false
      readonly code: string | undefined
      readonly again: boolean
      readonly afterMs: number
    }

/** Errors after which the operation has come to rest. */
const SETTLED = new Set(['OPERATION_FAILED', 'OUTCOME_NOT_REPLAYABLE'])

/** A caller of the library: asks, and asks again where that may help. `unsettled` holds its askings while they last. */
export async function ask(
  room: WorkRoom,
  once: Once,
  call: PlannedCall,
  life: number,
  unsettled: Set<string>,
  isOver: () => boolean,
): Promise<void> {
  const key = room.plan.keys[call.key]
  if (key === undefined) return
  let { input } = call
  for (let tries = 0; tries <= call.retries; tries++) {
    const id = `${call.id}.w${room.worker}.${life}.${tries}`
    unsettled.add(id)
    const came = await askOnce(room, once, { ...call, input }, key, id)
    unsettled.delete(id)
    if (came.settled || !came.again || isOver()) return
    // A probe wants to see the operation settle, whosever input it has.
    if (came.code === 'KEY_REUSED') input = 3 - input
    await new Promise((resolve) => setTimeout(resolve, Math.min(came.afterMs, 60)))
  }
}

async function askOnce(
  room: WorkRoom,
  once: Once,
  call: PlannedCall,
  key: PlannedKey,
  id: string,
): Promise<Came> {
  const { note } = room
  const probe = call.id.startsWith('p')
  note({ k: 'invoke', call: id, op: key.op, input: call.input, probe })
  try {
    const reply = await answered(room, once, call, key, id)
    if ('value' in reply) {
      note({ k: 'answer', call: id, how: reply.how, value: JSON.stringify(reply.value) })
      return { settled: true }
    }
    note({ k: 'error', call: id, own: false, ...reply })
    return came(reply.code, probe, key, reply.code === 'IN_PROGRESS', 20)
  } catch (error) {
    const told = toldOf(room, error)
    note({ k: 'error', call: id, ...told })
    const retryable = told.own || (error as { retryable?: boolean }).retryable === true
    return came(told.code, probe, key, retryable || told.code === 'CLAIM_LOST', 30)
  }
}

function came(
  code: string | undefined,
  probe: boolean,
  key: PlannedKey,
  retryable: boolean,
  afterMs: number,
): Came {
  const held = code === 'OUTCOME_UNKNOWN' && key.mode !== 'reconciled'
  if (code !== undefined && (SETTLED.has(code) || held)) return { settled: true }
  return { settled: false, code, again: probe || retryable, afterMs }
}

type Answered =
  | { readonly how: 'executed' | 'replayed'; readonly value: Receipt }
  | { readonly code: string; readonly effect: string; readonly message: string }

async function answered(
  room: WorkRoom,
  once: Once,
  call: PlannedCall,
  key: PlannedKey,
  id: string,
): Promise<Answered> {
  const asked = {
    key: key.key,
    scope: key.scope,
    input: { n: call.input },
    whenRunning: call.whenRunning,
    waitMs: call.waitMs,
    onCrash: key.mode === 'hold' || key.mode === 'reconciled' ? ('hold' as const) : ('rerun' as const),
  }
  if (key.mode === 'transaction') {
    let ran = false
    const isSync = once.store.capabilities.transactional === 'sync'
    const work = transactionWorkOf(room, call, key, id, isSync)
    const value = await once.transaction<Receipt, never>(asked, (tx, op) => {
      ran = true
      return work(tx, op)
    })
    room.crash.reach('transaction:committed')
    return { how: ran ? 'executed' : 'replayed', value }
  }
  const reply = await once.attempt<Receipt>(
    key.mode === 'reconciled' ? { ...asked, reconcile: (held) => consult(room, held) } : asked,
    workOf(room, call, key, id),
  )
  switch (reply.outcome) {
    case 'executed':
    case 'replayed':
      return { how: reply.outcome, value: reply.value }
    case 'running':
      return { code: 'IN_PROGRESS', effect: 'none', message: 'running' }
    case 'held':
      return { code: 'OUTCOME_UNKNOWN', effect: 'unknown', message: reply.reason }
    case 'reused':
      return { code: 'KEY_REUSED', effect: 'none', message: 'reused' }
  }
}

function toldOf(
  { library, thrown }: WorkRoom,
  error: unknown,
): Omit<Extract<Noted, { readonly k: 'error' }>, 'k' | 'call'> {
  const message = error instanceof Error ? error.message : String(error)
  if (library.isOncewardError(error)) {
    const { code, effect, cause } = error
    const why = cause instanceof Error ? ` (cause: ${cause.message})` : ''
    return { own: false, code, effect, message: `${message}${why}`.slice(0, 500) }
  }
  const own =
    message.startsWith('own: ') || (typeof error === 'object' && error !== null && thrown.has(error))
  return { own, message: own ? message : `${message} ${(error as Error)?.stack ?? ''}`.slice(0, 1000) }
}
