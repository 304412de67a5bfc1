/**
 * The world outside: a process that records effects. What it has acknowledged has happened and cannot be taken back.
 *
 * It is told of trials by its parent, listens on a free port of the loopback and never takes part in a fault.
 */
import { createServer, type Socket } from 'node:net'
import { type EventLog, eventLog } from './harness/event-log.ts'
import type { HistoryEvent } from './history.ts'
import { onLines } from './lines.ts'
import type { SinkReply, SinkRequest } from './sink-protocol.ts'

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

/** What the parent says. */
type Order =
  | { readonly do: 'open'; readonly trial: string; readonly file: string }
  | { readonly do: 'close'; readonly trial: string }

const ledgers = new Map<string, Ledger>()

const server = createServer(serve)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined })
})

process.on('message', (order: Order) => {
  if (order.do === 'open') {
    ledgers.set(order.trial, {
      history: eventLog<HistoryEvent>(order.file, 'sink'),
      byDownstreamKey: new Map(),
      last: new Map(),
      least: new Map(),
      count: 0,
    })
  } else {
    ledgers.get(order.trial)?.history.close()
    ledgers.delete(order.trial)
  }
  process.send?.({ did: order.do, trial: order.trial })
})
process.on('disconnect', () => process.exit())

function serve(socket: Socket): void {
  socket.setNoDelay(true)
  socket.on('error', () => {})
  onLines(socket, (line) => {
    const request = JSON.parse(line) as SinkRequest
    const ledger = ledgers.get(request.trial)
    // A zombie of a trial that has been judged already.
    if (ledger === undefined) return
    socket.write(`${JSON.stringify(answer(ledger, request))}\n`)
  })
}

function answer(ledger: Ledger, request: SinkRequest): SinkReply {
  const { id, op, fence } = request
  const { byDownstreamKey, last, least, history } = ledger
  if (request.do === 'settle') {
    const done = last.get(op)
    if (done !== undefined) return { id, answer: 'done', ...done, first: false }
    least.set(op, Math.max(least.get(op) ?? 0, fence + 1))
    return { id, answer: 'not-happened' }
  }
  const { part, call, worker, attempt, input, nonce, dedupe } = request
  const known = dedupe === undefined ? undefined : byDownstreamKey.get(dedupe)
  if (known !== undefined) return { id, answer: 'done', ...known, first: false }
  if (fence < (least.get(op) ?? 0)) return { id, answer: 'stale' }
  if (request.fenced) least.set(op, fence)
  if (dedupe !== undefined) byDownstreamKey.set(dedupe, { nonce, input })
  last.set(op, { nonce, input })
  history.note({ k: 'sunk', n: ++ledger.count, op, part, call, worker, fence, attempt, input, nonce })
  return { id, answer: 'done', nonce, input, first: true }
}
