import { monotonicMs } from './event-log.ts'

/** What a worker needs to take part in a trial. */
export interface OpenOrder<Plan, Address> {
  readonly do: 'open'
  readonly plan: Plan
  readonly worker: number
  readonly life: number
  readonly file: string
  readonly address: Address
  readonly sinkPort: number
  readonly library: string
  /** What the driver has made beforehand. */
  readonly given: readonly string[]
  /** It does not end itself any more. */
  readonly calm: boolean
}

/** What a worker is told. */
export type WorkerOrder<Plan = unknown, Address = unknown> =
  | OpenOrder<Plan, Address>
  /** The time of faults has begun so long ago. */
  | { readonly do: 'go'; readonly sinceMs: number }
  | { readonly do: 'block'; readonly ms: number }
  /** The disk has no room left, or has room again. */
  | { readonly do: 'fill-disk'; readonly full: boolean }
  | { readonly do: 'heal' }
  | { readonly do: 'finish' }

/** What it tells. */
export interface TrialReport {
  readonly did: 'ready' | 'opened' | 'settled' | 'finished' | 'failed'
  readonly message?: string
}

/** What a worker does in one trial. */
export interface Part {
  /** Lets the callers begin. */
  go(sinceMs: number): void
  fillDisk?(full: boolean): void
  /** Ends the asking, waits until every call has ended, and asks once more. */
  heal(): Promise<void>
  finish(): Promise<void>
}

/** Makes this process a worker, which may be killed, stopped or blocked at any moment; it is ready when it is warm. */
export function serveTrials<Plan, Address>(
  open: (order: OpenOrder<Plan, Address>) => Promise<Part>,
  warm: Promise<void> = Promise.resolve(),
): void {
  let part: Part | undefined
  const carryOut = async (order: WorkerOrder<Plan, Address>): Promise<void> => {
    switch (order.do) {
      case 'open':
        part = await open(order)
        say({ did: 'opened' })
        return
      case 'go':
        part?.go(order.sinceMs)
        return
      case 'block':
        keepFromTurning(order.ms)
        return
      case 'fill-disk':
        part?.fillDisk?.(order.full)
        return
      case 'heal':
        await part?.heal()
        say({ did: 'settled' })
        return
      case 'finish': {
        const current = part
        part = undefined
        await current?.finish()
        say({ did: 'finished' })
      }
    }
  }
  process.on('disconnect', () => process.exit())
  process.on('message', (order: WorkerOrder<Plan, Address>) => {
    carryOut(order).catch((error: unknown) => {
      say({ did: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    })
  })
  void warm.finally(() => say({ did: 'ready' }))
}

/** Blocks the event loop. */
function keepFromTurning(ms: number): void {
  const until = monotonicMs() + ms
  while (monotonicMs() < until);
}

function say(report: TrialReport): void {
  // The parent may have gone, or this process may have been given up.
  if (process.connected) process.send?.(report, () => {})
}
