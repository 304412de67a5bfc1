import { type Blame, type CallStory, grouped, only, type Seen } from './call-stories.ts'
import type { WorkEvent } from './work-events.ts'

/** I7: a token has at most one success; and the rest of what is promised of it. */
export function checkTokens(history: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame): Seen {
  const effects = grouped(only(history, 'effect'), ({ item }) => item)
  const began = new Set(only(history, 'began').map(({ item }) => item))
  const leaseMs = only(history, 'start')[0]?.leaseMs ?? Number.POSITIVE_INFINITY
  const byToken = grouped(calls, ({ asked }) => ('item' in asked ? asked.item : ''))
  const seen = {
    consumed: 0,
    executed: 0,
    replayed: 0,
    refused: 0,
    held: 0,
    'tried again': 0,
    'used by nobody': 0,
  }
  for (const [token, uses] of byToken) {
    const answers = uses.flatMap(({ asked, answered }) => (answered ? [{ asked, ...answered }] : []))
    const of = (outcome: string) => answers.filter((answer) => answer.outcome === outcome)
    const happened = effects.get(token) ?? []
    const consumed = of('consumed')
    const executed = of('executed')
    const replayed = of('replayed')
    seen.consumed += consumed.length
    seen.executed += executed.length
    seen.replayed += replayed.length
    seen.held += of('held').length
    seen.refused += of('used').length + uses.filter(({ failed }) => failed?.code === 'TOKEN_REFUSED').length
    seen['tried again'] += uses.filter(({ failed }) => failed?.message.includes('not now')).length

    if (consumed.length + executed.length > 1)
      blame(
        'I7',
        `token ${token} has ${consumed.length + executed.length} successes: ${calledBy([...consumed, ...executed])}`,
      )
    if (happened.length > 1)
      blame('I7', `what token ${token} was redeemed for has happened ${happened.length} times`)
    if (consumed.length > 0 && happened.length + replayed.length > 0)
      blame('I7', `token ${token} was consumed and redeemed`)
    for (const { call, value } of consumed)
      if (value !== token) blame('I2', `${call} was given ${value} as what token ${token} was issued with`)
    const values = new Set([...executed, ...replayed].map(({ value }) => value))
    if (values.size > 1) blame('I3', `redeems of token ${token} were answered ${[...values].join(' and ')}`)
    for (const value of values) {
      const { by } = JSON.parse(value ?? '{}') as { readonly by?: string }
      if (!happened.some(({ call }) => call === by))
        blame('I2', `redeems of token ${token} were answered with an effect of ${by} that has not happened`)
    }
    for (const outcome of ['unknown', 'expired'])
      for (const { call } of of(outcome)) blame('I7', `${call} was told that token ${token} is ${outcome}`)
    for (const { asked, failed } of uses) {
      if (failed?.code === 'TOKEN_REFUSED' && !failed.message.includes('used up'))
        blame('I7', `${asked.call}: token ${token}: ${failed.message}`)
      if (failed?.effect === 'none' && happened.some(({ call }) => call === asked.call))
        blame('errors', `${asked.call} failed with effect none, and its effect has happened`)
    }
    // Where every call was heard of to its end, somebody must have had the token; a claim whose answer was lost is one too.
    const open = uses.filter(
      ({ asked, answered, failed }) =>
        // One that was answered later than a lease lasts may have got its claim when it had lapsed already.
        (answered && answered.t - asked.t >= leaseMs) ||
        (!answered &&
          (failed?.effect !== 'none' || failed.code === 'STORE_UNAVAILABLE') &&
          failed?.own !== true),
    )
    // One that stood still for longer than its lease has lost it, and finds the token held as the others do.
    const mayHave = open.length > 0 || happened.length > 0 || began.has(token)
    const probed = uses.some(({ asked, answered }) => asked.probe === true && answered)
    if (probed && !mayHave && consumed.length + executed.length === 0)
      blame('I7', `token ${token} was used by nobody, and everybody was refused`)
    if (probed && happened.length + consumed.length === 0) seen['used by nobody']++
    if (of('held').length > 0 && !mayHave) blame('I9', `token ${token} is held, and nobody died over it`)
  }
  return seen
}

function calledBy(answers: readonly { readonly call: string }[]): string {
  return answers.map(({ call }) => call).join(', ')
}
