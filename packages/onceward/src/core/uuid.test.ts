import { expect, it } from 'vitest'
import { systemClock, systemRandom } from './system.ts'
import { isUuid, uuids } from './uuid.ts'

const sources = (now: () => number) => ({ clock: { ...systemClock, now }, random: systemRandom })

it('makes ids of version 7 that begin with the time, each greater than the one before', () => {
  const newId = uuids(
    sources(() => 0x0195bc1a58cc),
    'v7',
  )
  expect(newId()).toMatch(/^0195bc1a-58cc-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
  const ids = Array.from({ length: 10_000 }, newId)
  expect(ids).toEqual([...new Set(ids)].sort())
})

it('keeps their order while the clock is set back', () => {
  const times = [2000, 1000, -5]
  const newId = uuids(
    sources(() => times.shift() ?? 0),
    'v7',
  )
  const ids = [newId(), newId(), newId()]
  expect(ids).toEqual([...ids].sort())
})

it('makes random ids of version 4, and tells ids from other texts', () => {
  const id = uuids(sources(systemClock.now), 'v4')()
  expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
  expect([id, id.toUpperCase(), `${id} `, 7, undefined].map(isUuid)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ])
})
