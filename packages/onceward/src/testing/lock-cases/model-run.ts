import assert from 'node:assert/strict'
import type { AcquireReply, AcquireRequest, LockBackend, LockView } from '../../locks/lock-backend.ts'
import type { LockRecord } from '../../locks/lock-record.ts'
import * as transitions from '../../locks/lock-transitions.ts'
import { nonce } from '../case-kit.ts'
import type { LockRig } from '../lock-harness.ts'
import { asksFor, someKey } from '../lock-kit.ts'
import type { LockCommand, Place } from './model-commands.ts'

/** A time that does not end within any number of runs, in ms: a year. */
const FOREVER_MS = 31_536_000_000

/** Times of the model start here, so that its fences have room below them. */
const START_MS = 1_000_000

/** What the rules and the backend have made of one key. */
interface Line {
  readonly key: string
  record: LockRecord | undefined
  /** The backend's fence for each of the model's, and how many belong to the grant. */
  readonly fences: Map<number, { readonly real: number; readonly count: number }>
  /** The greatest that the backend is known to have given out, the greatest that belongs to it, and the model's by then. */
  last: { first: number; reserved: number; model: number } | undefined
}

/** One sequence: the same commands to the backend and to the rules. */
export class LockModelRun {
  readonly #rig: LockRig
  readonly #lines: readonly Line[] = [line(), line()]
  readonly #requests: AcquireRequest[] = []
  readonly #briefMs: number
  #now = START_MS
  #round = 0

  constructor(rig: LockRig) {
    this.#rig = rig
    this.#briefMs = rig.exactTime ? 1000 : Math.max(1, rig.a.minTtlMs)
  }

  async step(command: LockCommand): Promise<void> {
    const { backends, a, exactTime } = this.#rig
    const backend = backends[command.conn] ?? a
    const of = this.#lines[command.key]
    assert.ok(of)
    await this.#run(backend, of, command)
    // On real time whatever is brief is let end here, or its end would be a matter of luck: the grant too that a place has
    // become, which asked for it many commands ago.
    if (!exactTime && this.#hasBrief(of)) await this.#pass(this.#briefMs + 1)
    for (const one of this.#lines) this.#sees(one, await backend.inspect(one.key))
  }

  /** Whether anything of the line ends soon. */
  #hasBrief({ record }: Line): boolean {
    const { holders = [], queue = [], mark } = record ?? {}
    return [...holders, ...queue, ...(mark ? [mark] : [])].some(
      ({ until }) => until > this.#now && until <= this.#now + this.#briefMs,
    )
  }

  async #run(backend: LockBackend, of: Line, command: LockCommand): Promise<void> {
    if (command.do === 'pass') return this.#pass(this.#briefMs * command.part)
    if (command.do === 'acquire') {
      const request = this.#request(of, command)
      return this.#replies(of, await backend.acquire(request), request)
    }
    if (command.do === 'force') return this.#force(backend, of, command)
    const mine = this.#requests.filter(({ key }) => key === of.key)
    const from = mine.at(-1 - command.of)
    if (!from) return
    const { key, token } = from
    if (command.do === 'release') {
      const next = command.next && this.#request(of, { shared: command.shared, place: command.next })
      const reply = await backend.release({ key, token }, next)
      const expected = this.#decide(of, (found, now) => transitions.release(found, { key, token }, now))
      assert.equal(reply.released, expected.released, 'release')
      if (next && reply.next) this.#replies(of, reply.next, next)
      return
    }
    const ttlMs = command.brief ? this.#briefMs : FOREVER_MS
    if (command.do === 'extend') {
      const request = { key, token, ttlMs, ...(command.said ? { meta: 'extended' } : {}) }
      const told = await backend.extend([request])
      assert.deepEqual(
        told,
        [this.#decide(of, (found, now) => transitions.extend(found, request, now))],
        'extend',
      )
    } else if (command.do === 'mark') {
      const told = await backend.mark?.({ key, token }, command.text, ttlMs)
      const expected = this.#decide(of, (found, now) =>
        transitions.mark(found, { key, token }, command.text, ttlMs, now),
      )
      assert.equal(told, expected, 'mark')
    } else {
      const other = command.to === undefined ? undefined : mine.at(-1 - command.to)
      const to = other
        ? { ...other, ttlMs }
        : { ...asksFor(key), mode: from.mode, permits: from.permits, ttlMs }
      // Handing over to a waiter, or to somebody who holds otherwise, is not asked of anybody.
      const queued = of.record?.queue.some((place) => place.token === to.token)
      if (queued || to.mode !== from.mode || to.token === token) return
      this.#requests.push(to)
      const told = await backend.transfer({ key, token }, to)
      const expected = this.#decide(of, (found, now) => transitions.transfer(found, { key, token }, to, now))
      assert.equal(told?.mode, expected?.mode, 'transfer')
      assert.equal(told?.fence, of.fences.get(expected?.fence ?? 0)?.real, 'transfer tells the fence')
    }
  }

  async #force(
    backend: LockBackend,
    of: Line,
    { of: which, fence }: LockCommand & { do: 'force' },
  ): Promise<void> {
    const [model, grant] = (which === undefined ? undefined : [...of.fences].at(-1 - which)) ?? []
    const request = (first: number | undefined) => {
      const ifFence = { first, last: first && grant && first + grant.count - 1, none: first && 1 }[fence]
      return { key: of.key, by: 'ada', reason: 'it hangs', ...(ifFence === undefined ? {} : { ifFence }) }
    }
    const told = await backend.forceRelease(request(grant?.real))
    const expected = this.#decide(of, (found, now) => transitions.forceRelease(found, request(model), now))
    assert.equal(told, expected, 'forceRelease')
  }

  /** What a command asks for: anew, or once more. */
  #request(
    of: Line,
    command: {
      readonly shared: boolean
      readonly again?: number | undefined
      readonly brief?: boolean
      readonly place: Place
      readonly overtake?: boolean
      readonly fences?: number
    },
  ): AcquireRequest {
    const {
      placeMs: _,
      round: __,
      ...rest
    } = (command.again === undefined
      ? undefined
      : this.#requests.filter(({ key }) => key === of.key).at(-1 - command.again)) ?? this.#fresh(of, command)
    const placeMs = { none: undefined, brief: this.#briefMs, long: FOREVER_MS }[command.place]
    const offers = this.#rig.capabilities.grantsPlaces && placeMs !== undefined
    return {
      ...rest,
      ttlMs: command.brief ? this.#briefMs : FOREVER_MS,
      overtake: command.overtake ?? false,
      ...(placeMs === undefined ? {} : { placeMs }),
      ...(offers ? { round: ++this.#round } : {}),
    }
  }

  #fresh(of: Line, { shared, fences = 1 }: { shared: boolean; fences?: number }): AcquireRequest {
    // One key has readers, the other one permits: nobody uses one key for both.
    const permits = of === this.#lines[0] ? Number.POSITIVE_INFINITY : 2
    const request = asksFor(of.key, {
      token: nonce(),
      mode: shared ? 'shared' : 'exclusive',
      permits: shared ? permits : 1,
      fences,
      meta: 'asked',
    })
    this.#requests.push(request)
    return request
  }

  /** Compares the answer to a request with that of the rules. */
  #replies(of: Line, told: AcquireReply, request: AcquireRequest): void {
    const expected = this.#decide(of, (found, now) => transitions.acquire(found, request, now))
    assert.equal(told.granted, expected.granted, 'granted')
    if (!told.granted || !expected.granted) {
      assert.ok(!told.granted && told.retryAfterMs > 0, 'a refusal tells when to ask again')
      return
    }
    assert.equal(told.mark, expected.mark, 'a grant tells the mark')
    assert.ok(told.fence !== undefined && expected.fence !== undefined)
    this.#learns(of, expected.fence, told.fence, request.fences ?? 1)
  }

  /** What the backend has in place of a fence of the model. */
  #learns(of: Line, expected: number, told: number, count: number): void {
    const known = of.fences.get(expected)
    if (known !== undefined) {
      assert.equal(told, known.real, 'the same grant has the same fence')
      return
    }
    const least = of.last?.reserved ?? 0
    assert.ok(told > least, `a new grant’s fence is beyond ${least}, not ${told}`)
    of.fences.set(expected, { real: told, count })
    of.last = { first: told, reserved: told + count - 1, model: of.record?.fence ?? 0 }
  }

  /** A place that has become the grant: nobody has been answered yet. */
  #learnsOfPlaces(of: Line, seen: LockView | undefined): void {
    for (const { fence, fences, mode, round, until } of of.record?.holders ?? []) {
      const told = seen?.holders.find((holder) => holder.mode === mode)?.fence
      if (round !== undefined && until > this.#now && !of.fences.has(fence) && told !== undefined) {
        this.#learns(of, fence, told, fences)
      }
    }
  }

  #decide<Reply>(
    of: Line,
    decide: (found: LockRecord | undefined, now: number) => transitions.Step<Reply>,
  ): Reply {
    const { reply, record } = decide(of.record, this.#now)
    if (record) of.record = record
    return reply
  }

  /** Requires that people see what the rules say. */
  #sees(of: Line, seen: LockView | undefined): void {
    const expected = transitions.view(
      of.key,
      of.record ?? { fence: 0, holders: [], queue: [], forced: [] },
      this.#now,
    )
    const holders = (
      view: LockView | undefined,
      fenceOf: (fence: number | undefined) => number | undefined,
    ) =>
      (view?.holders ?? [])
        .map(({ owner, mode, fence, meta }) => ({ owner, mode, fence: fenceOf(fence), meta }))
        .sort((left, right) => (left.fence ?? 0) - (right.fence ?? 0))
    this.#learnsOfPlaces(of, seen)
    assert.deepEqual(
      holders(seen, (fence) => fence),
      holders(expected, (fence) => of.fences.get(fence ?? 0)?.real),
      'who holds it',
    )
    assert.equal(seen?.waiting ?? 0, expected.waiting, 'how many wait')
    assert.equal(seen?.mark, expected.mark, 'the mark')
    assert.deepEqual(
      (seen?.forced ?? []).map(({ by, fence }) => [by, fence]),
      expected.forced.map(({ by, fence }) => [by, of.fences.get(fence ?? 0)?.real]),
      'forced releases',
    )
    if (seen?.fence !== undefined && of.last) {
      const { first, reserved, model } = of.last
      // A place may have become a grant that has ended before anybody saw it.
      const isKnown = of.record?.fence === model
      const isRight = seen.fence >= first && (seen.fence <= reserved || !isKnown)
      assert.ok(isRight, `the greatest fence: ${seen.fence}`)
    }
  }

  async #pass(ms: number): Promise<void> {
    this.#now += ms
    await this.#rig.pass(ms)
  }
}

function line(): Line {
  return { key: someKey(), record: undefined, fences: new Map(), last: undefined }
}
