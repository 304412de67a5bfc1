import type { TrialPlan } from './plan.ts'
import type { StoreAddress } from './store-kinds.ts'

/** What the driver tells a worker. */
export type Order =
  | {
      readonly do: 'open'
      readonly plan: TrialPlan
      /** The name of the trial at the sink. */
      readonly trial: string
      /** The file of this life's history. */
      readonly file: string
      readonly worker: number
      readonly life: number
      readonly library: string
      readonly store: StoreAddress
      readonly sinkPort: number
    }
  /** The calls begin; those planned for before `elapsedMs` belonged to an earlier life. */
  | { readonly do: 'go'; readonly elapsedMs: number }
  | { readonly do: 'disk'; readonly full: boolean }
  /** All faults have ended: settle, and ask for every `of`-th operation once more. */
  | { readonly do: 'heal'; readonly nth: number; readonly of: number }
  | { readonly do: 'finish' }

/** What a worker answers. */
export type Report =
  | { readonly did: 'ready' }
  | { readonly did: 'opened' }
  | { readonly did: 'settled' }
  | { readonly did: 'finished' }
  | { readonly did: 'failed'; readonly message: string }
