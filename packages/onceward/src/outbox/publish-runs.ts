import { backOffMs } from '../core/back-off.ts'
import { errorNote } from '../core/error-note.ts'
import { jittered } from '../core/jittered.ts'
import type { EventHistoryEntry } from './outbox-types.ts'
import type { Published, Publisher } from './publisher.ts'
import type { Move } from './relay-calls.ts'
import type { Lease } from './relay-leases.ts'
import type { RelaySettings } from './relay-settings.ts'
import type { Settlement, Settler } from './settler.ts'

/** Publishes what was taken, and has it settled. */
export interface PublishRuns {
  /** Resolves when all of it is settled or lost. */
  run(leases: readonly Lease[]): Promise<void>
}

/** What publishing needs. */
export interface RunParts {
  readonly settings: RelaySettings
  readonly publisher: Publisher
  readonly settler: Settler
  /** Whether no publishing is to begin any more. */
  readonly isStopping: () => boolean
  /** Is told how each call went. */
  readonly onPublished: (published: Published) => void
}

/**
 * Makes it. Events of one lane are published one after another, each when the one before is acknowledged; lanes run beside each
 * other. When one fails, those behind it are given back with it, in one statement, and their attempt does not count.
 */
export function publishRuns(parts: RunParts): PublishRuns {
  const { settings, publisher, settler, isStopping, onPublished } = parts

  const published = ({ holding }: Lease): Move | undefined =>
    settings.retentionMs > 0
      ? { state: 'sent', blocks: false, tried: holding.attempt, delay: settings.retentionMs }
      : undefined
  const settled = (lease: Lease, move: Move | undefined): Settlement =>
    move === undefined ? { lease } : { lease, move }
  const givenBack = (lease: Lease): Settlement => ({
    lease,
    move: { state: 'ready', blocks: false, tried: lease.holding.attempt - 1, delay: null },
  })

  const dead = (lease: Lease, error: unknown, tried: number): Settlement => {
    settings.emit({ type: 'dead', ids: idsOf([lease]), attempt: tried, error })
    const history = [...lease.history, entry(lease, 'dead', tried, error)]
    return {
      lease,
      move: { state: 'dead', blocks: settings.blocksWhenDead, tried, delay: null, history },
    }
  }
  const failed = (lease: Lease, error: unknown): Settlement => {
    const { attempt } = lease.holding
    const stopping = isStopping()
    if (attempt >= settings.maxAttempts && !stopping) return dead(lease, error, attempt)
    settings.emit({ type: 'failed', ids: idsOf([lease]), attempt, error })
    const history = [...lease.history, entry(lease, 'failed', attempt, error)]
    // Aborted by the end of this relay: the next one need not wait, and has an attempt left.
    const delay = stopping ? 0 : retryDelayMs(settings, attempt)
    const tried = stopping ? Math.min(attempt, settings.maxAttempts - 1) : attempt
    return { lease, move: { state: 'waiting', blocks: true, tried, delay, history } }
  }
  const entry = (
    { takenAt }: Lease,
    event: EventHistoryEntry['event'],
    attempt: number,
    error: unknown,
  ): EventHistoryEntry => ({ at: takenAt, event, attempt, note: errorNote(error) })

  /** What need not be published at all: damaged, or given up by relays that never said why. */
  const hopeless = (lease: Lease): Settlement | undefined => {
    const { attempt } = lease.holding
    if (lease.event === undefined) return dead(lease, lease.unreadable, attempt)
    if (attempt <= settings.maxAttempts) return undefined
    return dead(lease, new Error('its relays ended while they published it'), attempt - 1)
  }

  /** One lane from its first event on; answers what is being settled. */
  const runLane = async (lane: readonly Lease[]): Promise<readonly Promise<void>[]> => {
    const settling: Promise<void>[] = []
    for (const [index, lease] of lane.entries()) {
      const rest = lane.slice(index + 1)
      const settle = (first: readonly Settlement[], behind: readonly Lease[] = []) =>
        settling.push(settler.settle([...first, ...behind.map(givenBack)]))
      const given = hopeless(lease)
      if (given) {
        settle([given], settings.blocksWhenDead ? rest : [])
        if (settings.blocksWhenDead) break
        continue
      }
      const answer = await publisher.publish([lease], () => !isStopping() && !lease.isLost())
      if (answer === undefined) {
        settle([givenBack(lease)], rest)
        break
      }
      onPublished(answer)
      if (answer.outcome !== 'published') {
        settle(answer.outcome === 'failed' ? [failed(lease, answer.error)] : [], rest)
        break
      }
      settings.emit({ type: 'published', ids: idsOf([lease]), attempt: lease.holding.attempt })
      settle([settled(lease, published(lease))])
    }
    return settling
  }

  const settledLane = async (lane: readonly Lease[]) => {
    await Promise.all(await runLane(lane))
  }

  /** First attempts of many lanes in one call. */
  const runTogether = async (leases: readonly Lease[]) => {
    const goesOn = () => !isStopping() && leases.every((lease) => !lease.isLost())
    const answer = await publisher.publish(leases, goesOn)
    if (answer === undefined) return settler.settle(leases.map(givenBack))
    onPublished(answer)
    if (answer.outcome === 'published') {
      settings.emit({ type: 'published', ids: idsOf(leases), attempt: 1 })
      return settler.settle(leases.map((lease) => settled(lease, published(lease))))
    }
    if (answer.outcome === 'lost') return settler.settle(leases.map(givenBack))
    // The first of each lane has failed; what is behind it was not believed to be published either.
    const heads = new Set(lanesOf(leases).map(([head]) => head))
    return settler.settle(
      leases.map((lease) => (heads.has(lease) ? failed(lease, answer.error) : givenBack(lease))),
    )
  }

  return {
    async run(leases) {
      const lanes = lanesOf(leases)
      if (!settings.together) {
        await Promise.all(lanes.map(settledLane))
        return
      }
      const isFresh = (lane: readonly Lease[]) =>
        lane.every(({ holding, event }) => holding.attempt === 1 && event !== undefined)
      const fresh = new Set(lanes.filter(isFresh).flat())
      await Promise.all([
        ...(fresh.size > 0 ? [runTogether(leases.filter((lease) => fresh.has(lease)))] : []),
        ...lanes.filter((lane) => !isFresh(lane)).map(settledLane),
      ])
    },
  }
}

/** The events by lane, each lane in its order; what has no key is a lane by itself. */
function lanesOf(leases: readonly Lease[]): readonly (readonly Lease[])[] {
  const lanes = new Map<string | Lease, Lease[]>()
  for (const lease of leases) {
    const lane = lease.lane ?? lease
    const known = lanes.get(lane)
    if (known) known.push(lease)
    else lanes.set(lane, [lease])
  }
  return [...lanes.values()]
}

function idsOf(leases: readonly Lease[]): readonly string[] {
  return leases.flatMap(({ event }) => (event ? [event.id] : []))
}

function retryDelayMs(
  { random, backOffMs: initialMs, maxBackOffMs: maxMs }: RelaySettings,
  attempt: number,
): number {
  return Math.round(jittered(random, backOffMs({ initialMs, maxMs }, attempt - 1), 0.25))
}
