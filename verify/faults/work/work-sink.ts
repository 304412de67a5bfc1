import { startSinkServer } from '../harness/sink-server.ts'
import type { TrialSink } from '../harness/trial-kind.ts'
import type { WorkEvent, WorkHistory } from './work-events.ts'
import type { WorkPlan } from './work-plan.ts'

/** A request to the world outside. */
export type SinkRequest = { readonly trial: string } /** Something happens that cannot be taken back. */ & (
  | {
      readonly op: 'effect'
      readonly item: string
      readonly call: string
      readonly attempt: number
      readonly fence: number
    }
  /** The broker is given messages, in this order. */
  | {
      readonly op: 'deliver'
      readonly by: string
      readonly messages: readonly { readonly id: string; readonly body: string; readonly attempt: number }[]
    }
  /** The broker gives messages out: new ones, and others again and again. */
  | { readonly op: 'take'; readonly most: number }
  | { readonly op: 'ack'; readonly ids: readonly string[] }
)

/** Its answer: the messages that were taken. */
export interface SinkAnswer {
  readonly messages: readonly string[]
}

/** The world outside, and a broker that delivers more than once. It knows nothing of the library. */
export interface WorkSink extends TrialSink<WorkPlan, WorkEvent> {
  /** How many messages of a trial no consumer has acknowledged yet. */
  unacknowledged(trial: string): number
}

interface Room {
  readonly history: WorkHistory
  readonly open: Set<string>
  readonly acknowledged: string[]
  given: number
}

/** Starts it inside this process, which no fault befalls. */
export async function startWorkSink(): Promise<WorkSink> {
  const rooms = new Map<string, Room>()
  const answer = (request: SinkRequest): SinkAnswer => {
    const room = rooms.get(request.trial)
    if (room) return { messages: decide(room, request) }
    return { messages: [] }
  }
  const server = await startSinkServer<SinkRequest, SinkAnswer>(answer)
  return {
    ...server,
    record({ trial }, history) {
      rooms.set(trial, { history, open: new Set(), acknowledged: [], given: 0 })
      return () => void rooms.delete(trial)
    },
    unacknowledged: (trial) => rooms.get(trial)?.open.size ?? 0,
  }
}

function decide(room: Room, request: SinkRequest): readonly string[] {
  switch (request.op) {
    case 'effect': {
      const { item, call, attempt, fence } = request
      room.history.note({ k: 'effect', item, call, attempt, fence })
      return []
    }
    case 'deliver':
      for (const { id, body, attempt } of request.messages) {
        room.history.note({ k: 'delivered', id, body, attempt, by: request.by, at: Date.now() })
        room.open.add(id)
      }
      return []
    case 'take':
      return taken(room, request.most)
    case 'ack':
      for (const id of request.ids) if (room.open.delete(id)) room.acknowledged.push(id)
      return []
  }
}

/** Every other time what was acknowledged before comes again; what is open is given to several at once. */
function taken(room: Room, most: number): readonly string[] {
  const again = room.given++ % 2 === 1
  const late = room.acknowledged.slice(-most)
  const open = [...room.open].slice(0, again ? Math.ceil(most / 2) : most)
  return again ? [...open, ...late].slice(0, most) : open
}

/** A worker's way to it. */
export type AskSink = (request: SinkRequest) => Promise<SinkAnswer>
