import { type Blame, type CallStory, grouped, only, type Seen } from './call-stories.ts'
import { UNITS } from './guard-lane.ts'
import type { WorkEvent } from './work-events.ts'

/** Answers of a guard that has let its caller write. */
const WON = ['moved', 'updated', 'done', 'inserted']

/** Each order has one ending, nothing is sold that was not there, and whoever was told so is right. */
export function checkGuards(history: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame): Seen {
  const rows = only(history, 'row')
  const byItem = grouped(rows, ({ item }) => item)
  const byCall = grouped(rows, ({ call }) => call)
  const count = (outcome: string) => calls.filter(({ answered }) => answered?.outcome === outcome).length
  const seen = {
    moved: count('moved'),
    stale: count('stale'),
    updated: count('updated'),
    'stale versions': count('stale-version'),
    done: count('done'),
    'sold out': count('sold-out'),
    inserted: count('inserted'),
    existing: count('existing'),
    'rolled back': count('rolled-back'),
    'failed before COMMIT': count('none'),
    'unknown, and there': 0,
  }
  for (const { asked, answered, failed } of calls) {
    const written = byCall.get(asked.call)?.length ?? 0
    const won = answered !== undefined && WON.includes(answered.outcome)
    if (written > 1) blame('I1', `${asked.call} has ${written} rows`)
    if (won && written === 0)
      blame('I2', `${asked.call} was told ${answered.outcome}, and its row is not there`)
    if (answered && !won && written > 0)
      blame('errors', `${asked.call} was told ${answered.outcome}, and its row is there`)
    if (!answered && written > 0) seen['unknown, and there']++
    if (failed && asked.about === 'guard' && !asked.commits && written > 0)
      blame('I1', `${asked.call} was rolled back, and its row is there`)
    if (answered?.outcome === 'missing') blame('I2', `${asked.call} was told that the row is missing`)
  }
  for (const { item, status, ending } of only(history, 'order')) {
    const ends = ['paid', 'cancelled'].flatMap((to) =>
      (byItem.get(`${item} ${to}`) ?? []).map(({ call }) => ({ to, call })),
    )
    const told = ends.map(({ to, call }) => `${to} by ${call}`).join(', ')
    if (ends.length > 1) blame('I1', `${item} has ${ends.length} endings: ${told}`)
    const [end] = ends
    if (ends.length === 1 && (end?.to !== status || end.call !== ending))
      blame('I2', `${item} is ${status} by ${ending}, and its row says ${told}`)
    if (ends.length === 0 && status !== 'new')
      blame('I1', `${item} is ${status} by ${ending}, and no row says so`)
    if (status === 'new') blame('I11', `${item} has no ending`)
    for (const { asked, answered } of calls)
      if (
        answered?.outcome === 'stale' &&
        'item' in asked &&
        asked.item === item &&
        answered.value !== status
      )
        blame('I6', `${asked.call} was told that ${item} is ${answered.value}, and it is ${status}`)
  }
  for (const { item, call } of only(history, 'payment')) {
    const paid = byItem.get(`${item} payment`) ?? []
    if (paid.length !== 1 || paid[0]?.call !== call)
      blame('I1', `${item} is paid by ${call}, and its rows say: ${paid.map((row) => row.call).join(', ')}`)
  }
  for (const { item, left, version } of only(history, 'stock')) {
    const sold = byItem.get(item)?.length ?? 0
    if (left < 0) blame('I1', `${item} has ${left} left`)
    if (left !== UNITS - sold)
      blame('I1', `${item} has ${left} left of ${UNITS}, and ${sold} rows say it was sold`)
    if (version !== sold) blame('I5', `${item} has version ${version} after ${sold} changes`)
    checkVersions(item, calls, blame)
  }
  return seen
}

/** A version is given once, and what was asked for later has a greater one. */
function checkVersions(shelf: string, calls: readonly CallStory[], blame: Blame): void {
  const changes = calls.flatMap(({ asked, answered }) =>
    answered && ['updated', 'done'].includes(answered.outcome) && 'item' in asked && asked.item === shelf
      ? [{ call: asked.call, from: asked.t, until: answered.t, version: Number(answered.value) }]
      : [],
  )
  for (const one of changes)
    for (const other of changes) {
      if (one === other || other.version > one.version) continue
      if (other.version === one.version) {
        if (one.call < other.call)
          blame('I5', `${one.call} and ${other.call} both made version ${one.version} of ${shelf}`)
      } else if (one.until < other.from)
        blame(
          'I5',
          `${other.call} made version ${other.version} of ${shelf} after ${one.call} made ${one.version}`,
        )
    }
}
