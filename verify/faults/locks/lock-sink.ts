import { startSinkServer } from '../harness/sink-server.ts'
import type { TrialSink } from '../harness/trial-kind.ts'
import type { LockEvent, LockHistory } from './lock-events.ts'
import type { LockPlan } from './lock-plan.ts'

/** A request to the fenced resource: a counter for each key, which is read and then written. */
export interface SinkRequest {
  readonly key: string
  readonly call: string
  readonly op: 'read' | 'write'
  readonly fence: number
  /** What is to be written. */
  readonly value: number
}

/** Its answer. Not accepted: a greater fence was here before. */
export interface SinkAnswer {
  readonly accepted: boolean
  readonly value: number
}

/** The world outside: counters that refuse smaller fences than they have seen. It knows nothing of locks. */
export type LockSink = TrialSink<LockPlan, LockEvent>

/** Starts it inside this process, which no fault befalls. */
export async function startLockSink(): Promise<LockSink> {
  const counters = new Map<string, { fence: number; value: number }>()
  const histories = new Map<string, LockHistory>()
  const decide = ({ key, call, op, fence, value }: SinkRequest): SinkAnswer => {
    const counter = counters.get(key) ?? { fence: 0, value: 0 }
    counters.set(key, counter)
    const before = counter.value
    const accepted = fence >= counter.fence
    if (accepted) counter.fence = fence
    if (accepted && op === 'write') counter.value = value
    histories.get(key)?.note({ k: 'sunk', key, call, op, fence, accepted, value: counter.value, before })
    return { accepted, value: counter.value }
  }
  const server = await startSinkServer(decide)
  return {
    ...server,
    record({ keys }, history) {
      for (const key of keys) histories.set(key, history)
      return () => {
        for (const key of keys) {
          histories.delete(key)
          counters.delete(key)
        }
      }
    },
  }
}

/** A worker's way to the resource. */
export type AskSink = (request: SinkRequest) => Promise<SinkAnswer>
