import type { WorkEvent, WorkEventOf } from './work-events.ts'

/** One call: how it began, and how it ended, if its process lived to see that. */
export interface CallStory {
  readonly asked: WorkEventOf<'asked'>
  readonly answered?: WorkEventOf<'answered'>
  readonly failed?: WorkEventOf<'failed'>
}

/** Says that a promise was broken. */
export type Blame = (rule: string, message: string) => void

/** What was counted. */
export type Seen = Readonly<Record<string, number>>

/** Puts the ends of calls to their beginnings. */
export function callsOf(history: readonly WorkEvent[]): readonly CallStory[] {
  const stories = new Map<
    string,
    { asked: WorkEventOf<'asked'>; answered?: WorkEventOf<'answered'>; failed?: WorkEventOf<'failed'> }
  >()
  for (const event of history) if (event.k === 'asked') stories.set(event.call, { asked: event })
  for (const event of history) {
    const story = event.k === 'answered' || event.k === 'failed' ? stories.get(event.call) : undefined
    if (event.k === 'answered' && story) story.answered = event
    if (event.k === 'failed' && story) story.failed = event
  }
  return [...stories.values()]
}

/** Events of one kind. */
export function only<K extends WorkEvent['k']>(
  history: readonly WorkEvent[],
  kind: K,
): readonly WorkEventOf<K>[] {
  return history.filter((event): event is WorkEventOf<K> => event.k === kind)
}

/** Puts what has the same name together. */
export function grouped<T>(all: readonly T[], nameOf: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const one of all) {
    const name = nameOf(one)
    const group = groups.get(name)
    if (group) group.push(one)
    else groups.set(name, [one])
  }
  return groups
}
