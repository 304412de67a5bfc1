import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { operationId } from '../../core/identity.ts'
import type { OnCrash, OperationRecord, Outcome } from '../../core/operation.ts'
import type { ClaimRequest } from '../../core/store.ts'
import * as transitions from '../../core/transitions.ts'
import { COLUMNS, fromRow, type Row, toRow } from './record-row.ts'

const BODY = COLUMNS.split(', ').indexOf('body')

function asRow(record: OperationRecord): Row {
  const values = toRow(record)
  return Object.fromEntries(COLUMNS.split(', ').map((column, index) => [column, values[index]]))
}

function request(fields: Partial<ClaimRequest> = {}): ClaimRequest {
  const id = operationId('payments', 'order-1')
  return { id, owner: 'a-nonce', leaseMs: 1000, retentionMs: 5000, onCrash: 'hold', ...fields }
}

function claimed(fields: Partial<ClaimRequest>, now = 1_000): OperationRecord {
  const { write } = transitions.claim(undefined, request(fields), now)
  if (write === undefined) throw new Error('a fresh claim is granted')
  return write
}

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a\0b', '\ud800', 'ü', ''))
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.uint8Array().map((value): Outcome => ({ kind: 'value', value })),
  text.map(
    (message): Outcome => ({ kind: 'failure', failure: { name: 'Error', message, effect: 'unknown' } }),
  ),
  fc.uint8Array().map((note): Outcome => ({ kind: 'unreplayable', reason: 'too large', note })),
)

/** What may happen to a record, in any order; what is refused leaves it as it is. */
const happening: fc.Arbitrary<(record: OperationRecord, now: number) => OperationRecord | undefined> =
  fc.oneof(
    outcome.map((end) => (record: OperationRecord, now: number) => {
      return transitions.complete(record, claimOf(record), end, 7000, now).write
    }),
    text.map((reason) => (record: OperationRecord, now: number) => {
      return transitions.hold(record, claimOf(record), reason, now).write
    }),
    fc.uint8Array().map((value) => (record: OperationRecord) => {
      const step = { name: 'charge', state: 'done', onCrash: 'hold', value } as const
      return transitions.checkpoint(record, claimOf(record), step).write
    }),
    fc.constant((record: OperationRecord, now: number) => {
      return transitions.release(record, claimOf(record), undefined, now).write
    }),
    fc.constant((record: OperationRecord, now: number) => {
      return transitions.renew(record, claimOf(record), 2000, now).write
    }),
    fc.record({ owner: text, fingerprint: text }).map((fields) => (record: OperationRecord, now: number) => {
      return transitions.claim(record, request(fields), now).write
    }),
  )

function claimOf({ id, owner = '', fence, attempt }: OperationRecord) {
  return { id, owner, fence, attempt }
}

describe('a row', () => {
  it('gives back every record as it was, whatever has happened to it', () => {
    const begin = fc.record({
      owner: text,
      fingerprint: text,
      onCrash: fc.constantFrom<OnCrash>('hold', 'rerun'),
    })
    fc.assert(
      fc.property(begin, fc.array(fc.tuple(happening, fc.nat(3000)), { maxLength: 12 }), (first, rest) => {
        let record = claimed(first)
        let now = 1_000
        expect(fromRow(asRow(record), 'a.sqlite')).toStrictEqual(record)
        for (const [happens, later] of rest) {
          now += later
          record = happens(record, now) ?? record
          expect(fromRow(asRow(record), 'a.sqlite')).toStrictEqual(record)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('has no body where an operation was claimed once and has ended with a value', () => {
    const running = claimed({ fingerprint: 'f' })
    const end: Outcome = { kind: 'value', value: new Uint8Array([1, 2]) }
    const done = transitions.complete(running, claimOf(running), end, 9000, 1_500).write
    expect([running, done].map((record) => record && toRow(record)[BODY])).toEqual([null, null])
    expect(done?.history.map(({ at, event }) => [at, event])).toEqual([
      [1_000, 'claimed'],
      [1_500, 'completed'],
    ])
  })

  it('holds the history of a record that was taken over, and the count of the refused', () => {
    const running = claimed({ onCrash: 'rerun' })
    const taken = transitions.claim(running, request({ owner: 'other', onCrash: 'rerun' }), 2_500).write
    const refused = transitions.claim(running, request({ owner: 'other' }), 1_200).write
    expect([taken, refused].map((record) => record && toRow(record)[BODY])).toEqual([
      '{"history":[[1000,"claimed",1,1000000],[2500,"taken-over",2,2500000]]}',
      '{"duplicates":1}',
    ])
  })
})
