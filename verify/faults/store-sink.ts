import type { EventLog } from './harness/event-log.ts'
import { startSinkServer } from './harness/sink-server.ts'
import type { TrialSink } from './harness/trial-kind.ts'
import type { HistoryEvent } from './history.ts'
import { type StorePlan, trialOf } from './plan.ts'
import type { SinkReply, SinkRequest } from './sink-protocol.ts'

/** The world outside, which records effects. What it has acknowledged has happened and cannot be taken back. */
export type StoreSink = TrialSink<StorePlan, HistoryEvent>

/** A worker's way to it. */
export type AskSink = (request: SinkRequest) => Promise<SinkReply>

/** What the sink knows of one trial. */
interface Ledger {
  readonly history: EventLog<HistoryEvent>
  readonly byDownstreamKey: Map<string, Done>
  /** The last effect of an operation. */
  readonly last: Map<string, Done>
  /** The least fence that is still accepted. */
  readonly least: Map<string, number>
  count: number
}

/** An effect, as the sink can tell it again. */
interface Done {
  readonly nonce: string
  readonly input: number
}

/** Starts it inside this process, which no fault befalls. */
export async function startStoreSink(): Promise<StoreSink> {
  const ledgers = new Map<string, Ledger>()
  const server = await startSinkServer<SinkRequest, SinkReply>((request) => {
    const ledger = ledgers.get(request.trial)
    // Who asks for a trial that is over is a zombie, and gets no answer.
    return ledger && answer(ledger, request)
  })
  return {
    ...server,
    record(plan, history) {
      const trial = trialOf(plan)
      const empty = { byDownstreamKey: new Map(), last: new Map(), least: new Map(), count: 0 }
      ledgers.set(trial, { history, ...empty })
      return () => void ledgers.delete(trial)
    },
  }
}

function answer(ledger: Ledger, request: SinkRequest): SinkReply {
  const { op, fence } = request
  const { byDownstreamKey, last, least, history } = ledger
  if (request.do === 'settle') {
    const done = last.get(op)
    if (done !== undefined) return { answer: 'done', ...done, first: false }
    least.set(op, Math.max(least.get(op) ?? 0, fence + 1))
    return { answer: 'not-happened' }
  }
  const { part, call, worker, attempt, input, nonce, dedupe } = request
  const known = dedupe === undefined ? undefined : byDownstreamKey.get(dedupe)
  if (known !== undefined) return { answer: 'done', ...known, first: false }
  if (fence < (least.get(op) ?? 0)) return { answer: 'stale' }
  if (request.fenced) least.set(op, fence)
  if (dedupe !== undefined) byDownstreamKey.set(dedupe, { nonce, input })
  last.set(op, { nonce, input })
  history.note({ k: 'sunk', n: ++ledger.count, op, part, call, worker, fence, attempt, input, nonce })
  return { answer: 'done', nonce, input, first: true }
}
