import type { Clock, Random, Timers } from '../core/clock.ts'
import { atLeast, checkWork, refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { tell } from '../core/observer.ts'
import { checkedText } from './checked-event.ts'
import type { PublishContext, RelayEvent, RelayedEvent, RelayOptions } from './relay-types.ts'

/** How a relay works: its options with their defaults, and what its outbox was given. */
export interface RelaySettings {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly retentionMs: number
  /** Publishes events together; each by itself where `together` is false. */
  readonly publish: (events: readonly RelayedEvent[], context: PublishContext) => unknown
  readonly together: boolean
  readonly topics: readonly string[] | undefined
  readonly batchSize: number
  readonly concurrency: number
  readonly leaseMs: number
  readonly publishTimeoutMs: number
  readonly pollMs: number
  readonly maxAttempts: number
  readonly backOffMs: number
  readonly maxBackOffMs: number
  readonly blocksWhenDead: boolean
  /** Tells the observer; never throws. */
  readonly emit: (event: RelayEvent) => void
}

const FIELDS = [
  'publish',
  'publishBatch',
  'topics',
  'batchSize',
  'concurrency',
  'leaseMs',
  'publishTimeoutMs',
  'pollMs',
  'maxAttempts',
  'backOffMs',
  'maxBackOffMs',
  'onDead',
  'observer',
]

/** Checks the options of a relay. @throws `TypeError` that names what is wrong. */
export function relaySettings(
  options: RelayOptions,
  base: Pick<RelaySettings, 'clock' | 'timers' | 'random' | 'retentionMs'>,
): RelaySettings {
  refuseUnknown('the options of a relay', options, FIELDS)
  const { publish, publishBatch, onDead = 'block', maxAttempts = 20, observer } = options
  if ((publish === undefined) === (publishBatch === undefined)) {
    throw new TypeError('a relay needs either publish or publishBatch')
  }
  checkWork('a relay', publish ?? publishBatch)
  if (onDead !== 'block' && onDead !== 'skip') {
    throw new TypeError(`onDead must be 'block' or 'skip', not ${written(onDead)}`)
  }
  if (observer !== undefined) checkWork('observer', observer)
  const backOffMs = atLeast('backOffMs', options.backOffMs ?? 500, 1)
  return {
    ...base,
    publish: publishBatch ?? (([event], context) => publish?.(event as RelayedEvent, context)),
    together: publishBatch !== undefined,
    topics: options.topics?.map((topic) => checkedText('a topic', topic, 255)),
    batchSize: wholeNumber('batchSize', options.batchSize ?? 100, 1, 1000),
    concurrency: wholeNumber('concurrency', options.concurrency ?? 16, 1, 1000),
    leaseMs: wholeNumber('leaseMs', options.leaseMs ?? 30_000, 100),
    publishTimeoutMs: atLeast('publishTimeoutMs', options.publishTimeoutMs ?? 10_000, 1),
    pollMs: atLeast('pollMs', options.pollMs ?? 500, 1),
    maxAttempts: maxAttempts === Infinity ? maxAttempts : wholeNumber('maxAttempts', maxAttempts, 1),
    backOffMs,
    maxBackOffMs: atLeast('maxBackOffMs', options.maxBackOffMs ?? Math.max(300_000, backOffMs), backOffMs),
    blocksWhenDead: onDead === 'block',
    emit: (event) => tell(observer, event),
  }
}
