import { expect, it } from 'vitest'
import type { OperationRecord, Outcome } from '../../core/operation.ts'
import { fromColumns, type Row } from './read-columns.ts'
import { columnText, fitsColumn, outcomeColumns, RECORD_COLUMNS, toColumns } from './record-columns.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

const record: OperationRecord = {
  id: { scope: 'shop', key: 'cart-7', digest: 'd'.repeat(43) },
  state: 'done',
  fingerprint: 'f',
  onCrash: 'hold',
  owner: 'o',
  fence: 1_795_000_000_000_001,
  attempt: 2,
  createdAt: 1_795_000_000_000,
  updatedAt: 1_795_000_000_100,
  leaseUntil: 1_795_000_030_000,
  retentionMs: 86_400_000,
  expiresAt: 1_795_086_400_100,
  outcome: { kind: 'value', value: bytes('receipt') },
  asks: 0,
  nextAskAt: 0,
  steps: [],
  duplicates: 3,
  history: [
    { at: 1_795_000_000_000, event: 'claimed', attempt: 1, fence: 1 },
    { at: 1_795_000_000_001, event: 'held', attempt: 1, fence: 1, note: 'no reply "\\\0' },
  ],
}

/** As a server hands it back: numbers as text, nothing shared with what was written. */
function stored(written: OperationRecord): Row {
  return Object.fromEntries(
    Object.entries(toColumns(written)).map(([name, value]) => {
      if (typeof value === 'number') return [name, String(value)]
      return [name, value instanceof Uint8Array ? Buffer.from(value) : value]
    }),
  )
}

const roundTrip = (written: OperationRecord) => fromColumns(stored(written), 'the test')

it('a record comes back as it was, whatever its state', () => {
  const { outcome: _, expiresAt: __, ...open } = record
  const failure = { name: 'Declined', message: 'no funds', code: 'E1', effect: 'unknown' } as const
  const steps = [
    { name: 'charge', state: 'done', onCrash: 'hold', value: bytes('ch_1') },
    { name: 'mail', state: 'started', onCrash: 'rerun' },
    { name: 'empty', state: 'done', onCrash: 'rerun', value: new Uint8Array(0) },
  ] as const
  const records: OperationRecord[] = [
    record,
    { ...record, outcome: { kind: 'failure', failure } },
    { ...record, outcome: { kind: 'unreplayable', reason: 'too large' } },
    { ...record, outcome: { kind: 'unreplayable', reason: 'too large', note: bytes('note') } },
    { ...record, outcome: { kind: 'value', value: new Uint8Array(0) } },
    { ...open, state: 'running', steps },
    { ...open, state: 'running', onCrash: 'rerun', expiresAt: open.leaseUntil + open.retentionMs },
    { ...open, state: 'held', heldReason: 'no reply', asks: 2, nextAskAt: 7, steps },
    { ...open, state: 'released', expiresAt: 9, steps: [steps[0]] },
  ]
  for (const one of records) expect(roundTrip(one)).toEqual(one)
})

it('what a text column cannot hold comes back all the same', () => {
  for (const text of ['a\0b', '\ud800', 'x\udfff', 'plain', '💳']) {
    const odd = { ...record, id: { ...record.id, scope: text, key: `${text}!` } }
    expect(roundTrip(odd)).toEqual(odd)
    const { scope, key, detail } = toColumns(odd)
    expect(fitsColumn(scope) && fitsColumn(key)).toBe(true)
    expect(detail?.includes('"id"')).toBe(!fitsColumn(text))
    expect(columnText(text) === text).toBe(fitsColumn(text))
  }
})

it('bytes that are read belong to nobody else', () => {
  const row = stored(record)
  const [one, two] = [fromColumns(row, 'the test'), fromColumns(row, 'the test')]
  if (one.outcome?.kind !== 'value' || two.outcome?.kind !== 'value') throw new Error('values')
  one.outcome.value.fill(0)
  expect(two.outcome.value).toEqual(bytes('receipt'))
})

it('an outcome is written as the whole record would write it', () => {
  const outcomes: Outcome[] = [
    { kind: 'value', value: bytes('receipt') },
    { kind: 'unreplayable', reason: 'too large', note: bytes('note') },
    { kind: 'failure', failure: { name: 'E', message: 'm', effect: 'none' } },
  ]
  for (const outcome of outcomes) {
    const { detail, payload } = toColumns({ ...record, outcome })
    expect(outcomeColumns(outcome)).toEqual({ detail, payload })
  }
})

it('the names of the columns are those that are written', () => {
  expect(RECORD_COLUMNS).toEqual(Object.keys(toColumns(record)))
})

it('a row that no store wrote is told, with its digest and the mend', () => {
  const row = stored(record)
  const damages: Row[] = [
    { ...row, state: 'finished' },
    { ...row, fence: '' },
    { ...row, fence: '9007199254740993' },
    { ...row, history: '[' },
    { ...row, history: 'null' },
    { ...row, detail: null },
    { ...row, detail: '{"outcome":{"kind":"other"}}' },
    { ...row, payload: Buffer.from('rec') },
    { ...row, owner: 7 },
    { ...row, holds: 'maybe' },
  ]
  for (const damaged of damages) {
    expect(() => fromColumns(damaged, 'the test')).toThrow(
      expect.objectContaining({
        code: 'STORE_CORRUPT',
        effect: 'unknown',
        message: expect.stringMatching(/^operation d{43} in the test cannot be read .*restore that row/),
      }),
    )
  }
})
