import type { HistoryEvent } from './history.ts'
import type { Plan } from './plan.ts'

/** Tells a history as text, one line for each event. */
export function traceOf(history: readonly HistoryEvent[]): string {
  return history.map((event) => `${event.at.toFixed(2).padStart(10)}  ${tell(event)}`).join('\n')
}

/** Tells a plan as text. */
export function tellPlan(plan: Plan): string {
  const { calls, keys, faults, processes, network, ...rest } = plan
  const rows = (name: string, items: readonly unknown[]) =>
    items.map((item) => `  ${name} ${JSON.stringify(item)}`)
  return [
    JSON.stringify(rest),
    ...rows('process', processes),
    ...rows('key', keys),
    ...rows('call', calls),
    ...rows('fault', faults),
    `  network ${JSON.stringify(network)}`,
  ].join('\n')
}

function tell(event: HistoryEvent): string {
  switch (event.kind) {
    case 'call':
      return `process ${event.process} call ${event.call}${event.probe ? ' (probe)' : ''}: ${event.op} input ${event.input}`
    case 'answer':
      return `call ${event.call} gets "${event.value}"`
    case 'error':
      return `call ${event.call} fails: ${event.code ?? 'own'} (effect ${event.effect ?? 'unsaid'}) ${event.message}`
    case 'begin':
      return `run ${event.run} of call ${event.call} begins: attempt ${event.attempt} fence …${event.fence % 1e9}${event.takenOver ? ' taken over' : ''}`
    case 'signal':
      return `run ${event.run} looks: aborted ${event.aborted}, the store ${event.holds ? 'holds' : 'does not hold'}`
    case 'effect':
      return `run ${event.run} EFFECT ${event.value}`
    case 'end':
      return `run ${event.run} ends${event.threw === undefined ? '' : `: ${event.threw}`}`
    case 'write': {
      const { before, after } = event
      const lease =
        after.state === 'running' ? ` lease +${(after.leaseUntil - event.storeTime).toFixed(1)}` : ''
      const steps = after.steps.map(({ name, state }) => ` ${name} ${state}`).join('')
      return `STORE ${event.op} ${event.method}: ${before?.state ?? 'absent'} → ${after.state} owner ${after.owner} fence …${after.fence % 1e9} attempt ${after.attempt}${lease}${steps}`
    }
    case 'ask':
      return `process ${event.process} asks about ${event.op}, turn ${event.asks}`
    case 'told':
      return `told of ${event.op}: ${event.answer}`
    case 'crash':
    case 'restart':
    case 'pause':
    case 'resume':
    case 'clock-jump':
      return `process ${event.process} ${event.kind.toUpperCase()}`
    case 'outage':
    case 'heal':
    case 'leftover':
      return `${event.kind.toUpperCase()} ${event.detail ?? ''}`
    case 'failover':
      return `FAILOVER loses ${event.lost.join(', ')}`
    case 'unsettled':
      return `call ${event.call} never settled`
    case 'final':
      return `finally ${event.op} is ${event.record?.state ?? 'absent'}`
  }
}
