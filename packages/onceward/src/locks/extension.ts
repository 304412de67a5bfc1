import { type Reading, readClock } from '../core/lease-clock.ts'
import type { BackendCalls } from './backend-calls.ts'
import type { Grant } from './grant.ts'
import type { ExtendRequest } from './lock-backend.ts'
import type { LockEngine } from './lock-options.ts'

/** One grant that is to be extended. */
export interface Extension {
  readonly grant: Grant
  readonly ttlMs: number
  readonly meta: string | undefined
  /** Before it was sent; absent until then. */
  sentAt?: Reading
  /** Tells who waits for it; absent for what the watchdog does by itself. */
  readonly settle?: (outcome: { readonly kept: boolean } | { readonly error: unknown }) => void
  /** What waits for it to be over. */
  after: (() => void) | undefined
}

/** What became of an extension. */
export interface ExtensionEnds {
  /** It is under way: it may be carried out from now on. */
  sent(extension: Extension): void
  answered(extension: Extension, sentAt: Reading, kept: boolean): void
  failed(extension: Extension, error: unknown): void
  /** It was answered after it had counted as failed. */
  late(extension: Extension, sentAt: Reading, kept: boolean): void
}

/** How many grants are extended in one call at most. */
const CHUNK = 500

/** The shortest time that an answer is waited for, in ms. */
const LEAST_ANSWER_MS = 50

/** Gathers the extensions of one turn of the event loop, and sends them together. */
export class ExtensionBatch {
  readonly #engine: LockEngine
  readonly #calls: BackendCalls
  readonly #ends: ExtensionEnds
  #gathered: Extension[] = []

  constructor(engine: LockEngine, calls: BackendCalls, ends: ExtensionEnds) {
    this.#engine = engine
    this.#calls = calls
    this.#ends = ends
  }

  add(extension: Extension): void {
    this.#gathered.push(extension)
    if (this.#gathered.length === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    // What has ended meanwhile is nobody's any more, and must not be kept.
    const gathered = this.#gathered.filter(({ grant }) => grant.state === 'held')
    this.#gathered = []
    for (let from = 0; from < gathered.length; from += CHUNK) this.#send(gathered.slice(from, from + CHUNK))
  }

  #send(extensions: readonly Extension[]): void {
    const sentAt = readClock(this.#engine)
    const requests = extensions.map(requestOf)
    const shortest = requests.reduce((least, { ttlMs }) => Math.min(least, ttlMs), Infinity)
    const { sent, answered, failed, late } = this.#ends
    for (const extension of extensions) {
      extension.sentAt = sentAt
      sent(extension)
    }
    this.#calls
      .run((backend) => backend.extend(requests), {
        // There has to be time to try again.
        ms: Math.max(LEAST_ANSWER_MS, shortest / 3),
        late: (kept) => {
          for (const [i, extension] of extensions.entries())
            if (kept) late(extension, sentAt, kept[i] === true)
        },
      })
      .then(
        (kept) => {
          for (const [i, extension] of extensions.entries()) answered(extension, sentAt, kept[i] === true)
        },
        (error: unknown) => {
          for (const extension of extensions) failed(extension, error)
        },
      )
  }
}

function requestOf({ grant, ttlMs, meta }: Extension): ExtendRequest {
  return { ...grant.held, ttlMs, ...(meta === undefined ? {} : { meta }) }
}
