import type { OperationRecord } from 'onceward'
import type { Atomically, EngineModules, TransitionMethods } from './engine.ts'
import type { Noted, Statistics } from './history.ts'
import type { Scheduler } from './scheduler.ts'
import { EPOCH_MS } from './sim-process.ts'

/** The store that all processes share: one primary with its own clock. */
export interface SimStore {
  readonly methods: TransitionMethods
  /** Turns lapsed holding claims into held ones. */
  sweep(): Promise<number>
  /** The records, newest first. */
  all(): OperationRecord[]
  /** What stands in the store right now, expired or not. */
  peek(digest: string): OperationRecord | undefined
  /** The store's own time, in ms. */
  time(): number
  /** Takes back the last writes, as a primary that fails over without them does. */
  loseTail(writes: number): void
  /** Is called after each write to a record. */
  onWrite(listener: (digest: string) => void): () => void
}

/** Names the operation of a record in the history. */
export function opName(id: { readonly scope: string; readonly key: string }): string {
  return `${id.scope}/${id.key}`
}

/** Makes the shared store out of the library's own transitions. */
export function simStore(
  engine: EngineModules,
  scheduler: Scheduler,
  note: (event: Noted) => void,
  statistics: Statistics,
): SimStore {
  const records = new Map<string, OperationRecord>()
  const journal: { readonly digest: string; readonly before: OperationRecord | undefined }[] = []
  const listeners = new Set<(digest: string) => void>()
  const time = () => EPOCH_MS + scheduler.now()

  const write = (digest: string, method: string, after: OperationRecord, audited: boolean) => {
    const before = records.get(digest)
    journal.push({ digest, before })
    records.set(digest, after)
    const event = { kind: 'write', op: opName(after.id), method, storeTime: time(), after, audited } as const
    note(before === undefined ? event : { ...event, before })
    if (before?.expiresAt !== undefined && time() >= before.expiresAt) statistics.forgotten++
    if (after.state === 'held' && before?.state !== 'held') statistics.helds++
    for (const listener of listeners) listener(digest)
  }

  let method = ''
  const atomically: Atomically = (digest, step) => {
    const transition = step(records.get(digest), time())
    if (transition.write) write(digest, method, transition.write, transition.audit !== undefined)
    if (transition.reply === false) statistics.staleWrites++
    return Promise.resolve(transition.reply)
  }
  const plain = engine.transitionMethods(atomically)
  const methods = Object.fromEntries(
    Object.entries(plain).map(([name, call]) => [
      name,
      (...parameters: unknown[]) => {
        method = name
        return (call as (...parameters: unknown[]) => Promise<unknown>)(...parameters)
      },
    ]),
  ) as unknown as TransitionMethods

  return {
    methods,
    async sweep() {
      let swept = 0
      for (const [digest, record] of records) {
        const held = engine.sweep(record, time())
        if (held === undefined) continue
        write(digest, 'sweep', held, false)
        swept++
      }
      return swept
    },
    all: () => [...records.values()].reverse(),
    peek: (digest) => records.get(digest),
    time,
    loseTail(writes) {
      const lost: string[] = []
      for (let count = 0; count < writes; count++) {
        const last = journal.pop()
        if (last === undefined) break
        const now = records.get(last.digest)
        if (now) lost.push(opName(now.id))
        if (last.before) records.set(last.digest, last.before)
        else records.delete(last.digest)
      }
      statistics.lostTails += lost.length > 0 ? 1 : 0
      note({ kind: 'failover', lost })
    },
    onWrite(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
