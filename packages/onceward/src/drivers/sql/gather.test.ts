import { expect, it } from 'vitest'
import { gatherer, type Waiting } from './gather.ts'

type Batch = readonly Waiting<number, string>[]

/** Sends batches that are answered by hand. */
function byHand(
  limits: { readonly maxBatch?: number; readonly maxInFlight?: number; readonly shared?: boolean } = {},
) {
  const sent: { readonly batch: Batch; readonly end: (error?: Error) => void }[] = []
  const gathered = gatherer<number, string>({
    maxBatch: limits.maxBatch ?? 10,
    maxInFlight: limits.maxInFlight ?? 1,
    shared: limits.shared ?? false,
    send: (batch) =>
      new Promise((resolve, reject) => {
        sent.push({ batch, end: (error) => (error ? reject(error) : resolve()) })
      }),
  })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const keysSent = () => sent.map(({ batch }) => batch.map((one) => one.key))
  const answer = (at: number) => {
    for (const one of sent[at]?.batch ?? []) one.resolve(`${one.key} ${one.ask}`)
    sent[at]?.end()
  }
  return { gathered, sent, turn, keysSent, answer }
}

it('sends what is asked for within one turn together, sorted by key', async () => {
  const { gathered, turn, keysSent, answer } = byHand()
  const answers = ['c', 'a', 'b'].map((key, index) => gathered.call(key, index))
  await turn()
  expect(keysSent()).toEqual([['a', 'b', 'c']])
  answer(0)
  expect(await Promise.all(answers)).toEqual(['c 0', 'a 1', 'b 2'])
})

it('keeps calls back while enough is under way, and sends them together then', async () => {
  const { gathered, turn, keysSent, answer } = byHand()
  void gathered.call('a', 0)
  await turn()
  const later = ['d', 'c', 'b'].map((key, index) => gathered.call(key, index))
  await turn()
  expect(keysSent()).toEqual([['a']])
  answer(0)
  await turn()
  await turn()
  expect(keysSent()).toEqual([['a'], ['b', 'c', 'd']])
  answer(1)
  await Promise.all(later)
})

it('never has two calls of one key under way, and keeps their order', async () => {
  const { gathered, turn, keysSent, answer, sent } = byHand({ maxInFlight: 5 })
  const answers = [1, 2, 3].map((ask) => gathered.call('a', ask))
  for (let round = 0; round < 3; round++) {
    await turn()
    await turn()
    expect(keysSent()).toHaveLength(round + 1)
    expect(sent[round]?.batch[0]?.ask).toBe(round + 1)
    answer(round)
  }
  expect(await Promise.all(answers)).toEqual(['a 1', 'a 2', 'a 3'])
})

it('sends calls of one key together, and beside each other, where they are shared', async () => {
  const { gathered, turn, keysSent, answer } = byHand({ maxInFlight: 2, shared: true })
  const answers = ['b', 'a', 'a'].map((key, index) => gathered.call(key, index))
  await turn()
  answers.push(gathered.call('a', 3))
  await turn()
  expect(keysSent(), 'nothing waits for a call of the same key').toEqual([['a', 'a', 'b'], ['a']])
  answer(0)
  answer(1)
  expect(await Promise.all(answers)).toEqual(['b 0', 'a 1', 'a 2', 'a 3'])
})

it('bounds a batch, the oldest calls first', async () => {
  const { gathered, turn, keysSent } = byHand({ maxBatch: 2, maxInFlight: 1 })
  for (const key of ['d', 'c', 'b', 'a']) void gathered.call(key, 0)
  await turn()
  expect(keysSent()).toEqual([['c', 'd']])
})

it('sends many in two halves where nothing is on its way, and whole where something is', async () => {
  const load = { inFlight: 0 }
  const sizes: number[] = []
  const ends: (() => void)[] = []
  const [claims, ends2] = [0, 1].map(() =>
    gatherer<number, string>({
      maxBatch: 500,
      maxInFlight: 2,
      load,
      send: (batch) => {
        sizes.push(batch.length)
        return new Promise((resolve) => void ends.push(resolve))
      },
    }),
  )
  const ask = (gathered: typeof claims, count: number) => {
    for (let index = 0; index < count; index++) void gathered?.call(`key-${index}`, index)
  }
  const turns = async () => {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  ask(claims, 100)
  await turns()
  expect(sizes.splice(0)).toEqual([50, 50])
  ask(ends2, 80)
  await turns()
  expect(sizes.splice(0), 'the other gatherer has something on its way').toEqual([80])
  for (const end of ends.splice(0)) end()
  await turns()
  ask(ends2, 20)
  await turns()
  expect(sizes, 'few are not worth two round trips').toEqual([20])
})

it('tells an error to those that were left unsettled, and goes on', async () => {
  const { gathered, turn, sent, answer } = byHand()
  const answers = [gathered.call('a', 0), gathered.call('b', 0)]
  await turn()
  sent[0]?.batch[0]?.resolve('settled')
  sent[0]?.end(new Error('the connection broke'))
  const settled = await Promise.allSettled(answers)
  expect(settled[0]).toMatchObject({ value: 'settled' })
  expect(settled[1]).toMatchObject({ reason: { message: 'the connection broke' } })
  const next = gathered.call('a', 1)
  await turn()
  answer(1)
  expect(await next).toBe('a 1')
})

it('is idle when nothing waits and nothing is under way', async () => {
  const { gathered, turn, answer } = byHand()
  await gathered.idle()
  let idle = false
  void gathered.call('a', 0)
  const waiting = gathered.idle().then(() => {
    idle = true
  })
  await turn()
  expect(idle).toBe(false)
  answer(0)
  await waiting
  expect(idle).toBe(true)
})

it('hands over what waits to whoever sends something else, and leaves nothing to send for itself', async () => {
  const { gathered, turn, keysSent } = byHand()
  const answers = [gathered.call('b', 1), gathered.call('a', 0)]
  const along = await gathered.along(async (batch) => {
    for (const one of batch) one.resolve(`along ${one.key}`)
    return batch.map(({ key }) => key)
  })
  expect(along).toEqual(['a', 'b'])
  expect(await Promise.all(answers)).toEqual(['along b', 'along a'])
  await turn()
  expect(keysSent()).toEqual([])
  expect(await gathered.along(async (batch) => batch.length)).toBe(0)
})

it('tells an error of what went along to whoever sent it, and to those that were left unsettled', async () => {
  const { gathered, turn, keysSent } = byHand()
  const answer = gathered.call('a', 0)
  const failing = gathered.along(() => Promise.reject(new Error('the connection broke')))
  await expect(failing).rejects.toThrow('the connection broke')
  await expect(answer).rejects.toThrow('the connection broke')
  void gathered.call('a', 1)
  await turn()
  expect(keysSent()).toEqual([['a']])
})

it('sends a turn later where it is late, so that whoever wakes at the end of the turn takes what waits along', async () => {
  const alone: string[] = []
  const gathered = gatherer<number, string>({
    maxBatch: 10,
    maxInFlight: 1,
    late: true,
    async send(batch) {
      for (const { key, resolve } of batch) resolve(alone.push(key).toString())
    },
  })
  void gathered.call('a', 0)
  await new Promise((resolve) => setImmediate(resolve))
  const taken = await gathered.along(async (batch) => {
    for (const { resolve } of batch) resolve('along')
    return batch.map(({ key }) => key)
  })
  expect(taken).toEqual(['a'])
  await gathered.call('b', 1)
  expect(alone).toEqual(['b'])
})
