import { expect, it } from 'vitest'
import { verdictOnResponse } from './response-verdict.ts'

const none = ['onceward-effect', 'none'] as const
const done = ['Onceward-Effect', ' DONE '] as const
const unknown = ['Onceward-Effect', 'unknown'] as const

it.each([
  [200, [], 'hold', 'store'],
  [204, [], 'hold', 'store'],
  [302, [], 'hold', 'store'],
  [201, [none], 'hold', 'store'],
  [400, [], 'hold', 'store'],
  [422, [], 'release', 'store'],
  [401, [], 'hold', 'release'],
  [403, [], 'store', 'release'],
  [408, [], 'hold', 'release'],
  [425, [], 'hold', 'release'],
  [429, [], 'hold', 'release'],
  [400, [none], 'hold', 'release'],
  [429, [done], 'hold', 'store'],
  [500, [], 'hold', 'hold'],
  [500, [], 'store', 'store'],
  [503, [], 'release', 'release'],
  [500, [none], 'store', 'release'],
  [500, [done], 'release', 'store'],
  [500, [unknown], 'release', 'hold'],
  [500, [['onceward-effect', 'nonsense'] as const], 'hold', 'hold'],
] as const)('a %s with %j under the policy %s means %s', (status, headers, policy, verdict) => {
  expect(verdictOnResponse({ status, headers }, policy)).toBe(verdict)
})
