import type { Blame, CallStory, Seen } from './call-stories.ts'
import type { WorkEvent } from './work-events.ts'

/** One look at one item. `until` is infinite where nobody has heard what came of it. */
interface Sight {
  readonly call: string
  readonly item: string
  readonly name?: string
  readonly windowMs: number
  readonly from: number
  readonly until: number
  /** What it was told; `lost`: it may have marked the item, and nobody knows. */
  readonly told: 'first' | 'seen before' | 'lost'
}

/** When an item may have been forgotten. */
interface Forgetting {
  readonly item: string
  readonly from: number
  readonly until: number
}

/** No trial takes so long, in ms: what is remembered for longer is not forgotten in one. */
const TRIAL_MS = 600_000

/** The clocks of the store and of the machine are read apart. In ms. */
const ROUNDING_MS = 5

/**
 * Of all looks at an item within its window one is told that it is the first, unless the item was forgotten in between; where
 * nobody is told so, an answer was lost; and a sight that has a name is always told the same.
 *
 * A lost answer is one whose call was never heard of again, or failed with effect unknown.
 */
export function checkDedupe(_: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame): Seen {
  const sights = new Map<string, Sight[]>()
  for (const sight of calls.flatMap(sightsOf))
    sights.set(sight.item, [...(sights.get(sight.item) ?? []), sight])
  const forgettings = calls.flatMap(forgettingsOf)
  const seen = {
    first: 0,
    suppressed: 0,
    'asked again and first': 0,
    'after a forget': 0,
    'after the window': 0,
    'marked for nobody': 0,
  }
  for (const { asked, failed } of calls)
    if (failed?.code === 'STORE_UNAVAILABLE' && asked.about === 'sight' && failed.effect !== 'unknown')
      blame('errors', `${asked.call} failed with effect ${failed.effect}, and its items may be marked`)
  for (const [item, looks] of sights) {
    const forgotten = forgettings.filter((one) => one.item === item)
    const firsts = looks.filter(({ told }) => told === 'first')
    seen.first += firsts.length
    seen.suppressed += looks.filter(({ told }) => told === 'seen before').length
    const distinct = bySight(firsts)
    seen['asked again and first'] += firsts.length - distinct.length
    checkFirsts(item, distinct, forgotten, seen, blame)
    checkNames(item, looks, blame)
    const outlasts = looks.every(({ windowMs }) => windowMs > TRIAL_MS)
    if (outlasts && forgotten.length === 0) {
      checkCauses(item, looks, blame)
      if (firsts.length === 0) seen['marked for nobody']++
    }
  }
  return seen
}

function sightsOf({ asked, answered, failed }: CallStory): readonly Sight[] {
  if (asked.about !== 'sight' || failed?.effect === 'none') return []
  const fresh = new Set(answered?.value?.split(' '))
  const { call, windowMs, name, t: from } = asked
  const named = name === undefined ? {} : { name }
  const until = answered?.t ?? Number.POSITIVE_INFINITY
  return asked.items.map((item) => ({
    ...{ call, item, windowMs, from, until, ...named },
    told: answered === undefined ? 'lost' : fresh.has(item) ? 'first' : 'seen before',
  }))
}

function forgettingsOf({ asked, answered, failed }: CallStory): readonly Forgetting[] {
  if (asked.about !== 'forget') return []
  const until = answered?.t ?? Number.POSITIVE_INFINITY
  return failed?.effect === 'none' ? [] : asked.items.map((item) => ({ item, from: asked.t, until }))
}

/** The answers to one named sight are one. */
function bySight(firsts: readonly Sight[]): readonly Sight[] {
  const names = new Set<string>()
  return firsts.filter(({ name }) => {
    if (name === undefined) return true
    const isNew = !names.has(name)
    names.add(name)
    return isNew
  })
}

function checkFirsts(
  item: string,
  firsts: readonly Sight[],
  forgotten: readonly Forgetting[],
  seen: { 'after a forget': number; 'after the window': number },
  blame: Blame,
): void {
  const inOrder = [...firsts].sort((one, other) => one.until - other.until)
  let afterForget = 0
  for (const [nth, later] of inOrder.entries()) {
    const earlier = inOrder[nth - 1]
    if (earlier === undefined) continue
    if (lapsed(earlier, later) || lapsed(later, earlier)) seen['after the window']++
    else if (forgotten.some((one) => between(earlier, one, later) || between(later, one, earlier))) {
      seen['after a forget']++
      afterForget++
    } else {
      blame('I1', `${item} was new to ${earlier.call} and to ${later.call}`)
    }
  }
  if (afterForget > forgotten.length)
    blame('I1', `${item} was new again ${afterForget} times, and forgotten ${forgotten.length} times`)
}

function lapsed(one: Sight, other: Sight): boolean {
  return other.until - one.from >= one.windowMs - ROUNDING_MS
}

/** Whether it may have been forgotten after the one and before the other. */
function between(one: Sight, { from, until }: Forgetting, other: Sight): boolean {
  return from < other.until && until > one.from
}

/** Whoever is told that an item was seen before is told so because of somebody. */
function checkCauses(item: string, looks: readonly Sight[], blame: Blame): void {
  const causes = looks.filter(({ told }) => told !== 'seen before')
  const since = Math.min(...causes.map(({ from }) => from))
  const wrong = looks.find(({ told, until }) => told === 'seen before' && until < since)
  if (wrong) blame('I2', `${wrong.call} was told that ${item} was seen before, and nobody had seen it`)
}

/** A sight with a name is told the same as often as it is asked about; when all are asked about, one of them is the first. */
function checkNames(item: string, looks: readonly Sight[], blame: Blame): void {
  const told = new Map<string, Set<string>>()
  for (const { name, told: what } of looks)
    if (name !== undefined && what !== 'lost') told.set(name, (told.get(name) ?? new Set()).add(what))
  for (const [name, answers] of told)
    if (answers.size > 1)
      blame('I3', `the ${name} of ${item} was told both that it is new and that it is not`)
  const names = new Set(looks.flatMap(({ name }) => name ?? []))
  const isAnswered = names.size > 1 && [...names].every((name) => told.has(name))
  if (isAnswered && [...told.values()].every((answers) => !answers.has('first')))
    blame('I2', `${item} was new to none of its sights, though each was answered`)
}
