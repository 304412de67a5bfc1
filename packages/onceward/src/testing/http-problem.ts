import assert from 'node:assert/strict'
import type { Effect } from '../core/operation.ts'
import { field, type RawResponse } from './http-connection.ts'

/** What a problem document must say. */
export interface ExpectedProblem {
  readonly status: number
  /** The stable name of the problem, in kebab case. */
  readonly code: string
  readonly retryable: boolean
  readonly effect: Effect
  /** Members beyond the fixed ones, with their values. */
  readonly members?: Readonly<Record<string, unknown>>
}

interface Members extends Record<string, unknown> {
  readonly type?: unknown
  readonly title?: unknown
  readonly status?: unknown
  readonly detail?: unknown
  readonly code?: unknown
  readonly retryable?: unknown
  readonly effect?: unknown
}

/** The key belongs to another input. */
export const KEY_REUSED: ExpectedProblem = {
  status: 422,
  code: 'key-reused',
  retryable: false,
  effect: 'none',
}

/** The first request still runs. */
export const IN_PROGRESS: ExpectedProblem = {
  status: 409,
  code: 'in-progress',
  retryable: true,
  effect: 'none',
}

/** The effect may have happened. */
export const OUTCOME_UNKNOWN: ExpectedProblem = {
  status: 409,
  code: 'outcome-unknown',
  retryable: false,
  effect: 'unknown',
}

const FIXED_MEMBERS = ['type', 'title', 'status', 'code', 'retryable', 'effect']
const OPTIONAL_MEMBERS = ['detail', 'instance']

/** Every canary starts so; no problem document may hold one. */
export const CANARY_PREFIX = 'canary-'

/**
 * Asserts that an answer is the problem document expected, with no member missing or undocumented, nothing of any
 * stored answer in it, never cached, and `Retry-After` exactly where asking again makes sense.
 */
export function assertProblem(response: RawResponse, expected: ExpectedProblem): void {
  const text = response.body.toString('utf8')
  const seen = `${response.status} ${text.slice(0, 300)}`
  assert.equal(response.status, expected.status, `expected ${expected.status} ${expected.code}, got ${seen}`)
  assert.match(
    field(response, 'content-type') ?? '',
    /^application\/problem\+json(; ?charset=utf-8)?$/i,
    seen,
  )
  assert.ok(!text.includes(CANARY_PREFIX), `a problem document tells what the application answered: ${seen}`)
  const problem: unknown = JSON.parse(text)
  assert.ok(typeof problem === 'object' && problem !== null && !Array.isArray(problem), seen)
  const members = problem as Members
  const extra = expected.members ?? {}
  for (const name of [...FIXED_MEMBERS, ...Object.keys(extra)])
    assert.ok(Object.hasOwn(members, name), `the problem has no member "${name}": ${seen}`)
  for (const name of Object.keys(members))
    assert.ok(
      FIXED_MEMBERS.includes(name) || OPTIONAL_MEMBERS.includes(name) || Object.hasOwn(extra, name),
      `the problem has an undocumented member "${name}": ${seen}`,
    )
  assert.equal(members.code, expected.code, seen)
  assert.equal(members.retryable, expected.retryable, `retryable of ${seen}`)
  assert.equal(members.effect, expected.effect, `effect of ${seen}`)
  if (!Object.hasOwn(extra, 'status')) assert.equal(members.status, expected.status, `status of ${seen}`)
  for (const [name, value] of Object.entries(extra))
    assert.deepEqual(members[name], value, `${name} of ${seen}`)
  assert.ok(typeof members.title === 'string' && members.title !== '', `title of ${seen}`)
  if ('detail' in members) assert.equal(typeof members.detail, 'string', `detail of ${seen}`)
  const type = members.type
  assert.ok(typeof type === 'string' && type.endsWith(expected.code), `type must end in the code: ${seen}`)
  assert.match(field(response, 'cache-control') ?? '', /no-store/, `a problem may be cached: ${seen}`)
  assertRetryAfter(response, expected.retryable)
}

function assertRetryAfter(response: RawResponse, retryable: boolean): void {
  const retryAfter = field(response, 'retry-after')
  if (retryable)
    assert.match(retryAfter ?? 'absent', /^\d+$/, 'a retryable problem says after how many seconds')
  else assert.equal(retryAfter, undefined, 'a problem that asking again cannot mend has no Retry-After')
}

/** Asserts that an error was told before anything happened, however it was told: a parser may refuse with a bare answer. */
export function assertRefused(response: RawResponse, status: number): void {
  assert.equal(response.status, status, response.body.toString('utf8').slice(0, 300))
  assert.ok(!response.body.includes(CANARY_PREFIX), 'a refusal tells what the application answered')
}
