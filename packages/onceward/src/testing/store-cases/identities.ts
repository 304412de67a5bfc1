import assert from 'node:assert/strict'
import { operationId } from '../../core/identity.ts'
import type { OperationId } from '../../core/operation.ts'
import type { OperationStore } from '../../core/store.ts'
import { asks, doneBy, expectReply, outcomeOf, recordOf, sameOutcome, someId } from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'

/** Texts that have broken a store somewhere. */
export const HOSTILE_TEXTS: readonly string[] = [
  '__proto__',
  'constructor',
  'toString',
  "' OR 1=1 --",
  '"; DROP TABLE operations; --',
  '*',
  '{tag}',
  '%00',
  '%_\\%',
  'nul\u0000inside',
  '\u0000',
  'line\r\nbreak\ttab',
  '🧾💳',
  'ß\u0301\u202Eabc',
  ' ',
  'x'.repeat(1024),
  '€'.repeat(341),
]

/** Pairs that are two operations, however much they look like one: scope and key of each. */
const LOOKALIKES: readonly (readonly [readonly [string, string], readonly [string, string]])[] = [
  [
    ['a:b', 'c'],
    ['a', 'b:c'],
  ],
  [
    ['a', 'bc'],
    ['ab', 'c'],
  ],
  [
    ['tenant-1', 'order'],
    ['tenant-2', 'order'],
  ],
  [
    ['s', 'Order'],
    ['s', 'order'],
  ],
  [
    ['S', 'order'],
    ['s', 'order'],
  ],
  [
    ['s', 'order'],
    ['s', 'order '],
  ],
  [
    ['s ', 'order'],
    ['s', 'order'],
  ],
  [
    ['s', 'caf\u00e9'],
    ['s', 'cafe\u0301'],
  ],
  [
    ['s', 'order'],
    ['s', 'order\u0000'],
  ],
  [
    ['s', '\uFF11'],
    ['s', '1'],
  ],
  [
    ['s', 'straße'],
    ['s', 'strasse'],
  ],
]

/** Which texts name an operation, and which are the same one. */
export const identityCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'hostile scopes and keys are ordinary text: each is one operation and comes back as it was',
    timeoutMs: 60_000,
    async run({ a, b }) {
      for (const text of HOSTILE_TEXTS) {
        for (const id of [
          operationId('conformance', text),
          operationId(text, 'key'),
          operationId(text, text),
        ]) {
          await doneBy(a, id, `receipt of ${text}`)
          const reply = await expectReply(
            b,
            asks(id),
            'done',
            `found again: ${JSON.stringify(text.slice(0, 40))}`,
          )
          sameOutcome(reply.outcome, outcomeOf(`receipt of ${text}`), 'each gets its own outcome')
          assert.deepEqual((await recordOf(b, id)).id, id, 'scope and key come back to the last character')
        }
      }
    },
  },
  {
    name: 'ids that only look alike are different operations: case, spaces, normal forms, where the scope ends',
    timeoutMs: 60_000,
    async run({ a, b }) {
      for (const [index, pair] of LOOKALIKES.entries()) {
        const [left, right] = [idIn(pair[0], index), idIn(pair[1], index)]
        const names = `${JSON.stringify([left.scope, left.key])} and ${JSON.stringify([right.scope, right.key])}`
        await doneBy(a, left, 'left')
        assert.equal(await b.get(right), undefined, `${names} are different operations`)
        await doneBy(b, right, 'right')
        for (const [id, text] of [
          [left, 'left'],
          [right, 'right'],
        ] as const) {
          const reply = await expectReply(a, asks(id), 'done', `${names} are different operations`)
          sameOutcome(reply.outcome, outcomeOf(text), `${names} keep their own outcomes`)
          assert.deepEqual((await recordOf(b, id)).id, id, `${names} keep their own text`)
        }
      }
    },
  },
  {
    name: 'digests that differ only in the case of a letter are different operations',
    async run({ a, b }) {
      const left = someId()
      const right = { ...left, digest: swapCase(left.digest) }
      await doneBy(a, left, 'left')
      assert.equal(await b.get(right), undefined, 'a digest is compared byte by byte')
      await doneBy(b, right, 'right')
      const reply = await expectReply(a, asks(left), 'done', 'a digest is compared byte by byte')
      sameOutcome(reply.outcome, outcomeOf('left'), 'a digest is compared byte by byte')
    },
  },
  {
    name: 'reasons, failures and notes are ordinary text too, and are clipped to 500 characters',
    timeoutMs: 60_000,
    async run({ a, b }) {
      for (const text of [...HOSTILE_TEXTS, '💳'.repeat(400)]) {
        const id = someId()
        const claim = await expectReply(a, asks(id), 'claimed', 'granted')
        assert.equal(await a.hold(claim.claim, text), true)
        const record = await recordOf(b, id)
        const reason = record.heldReason ?? ''
        assert.ok(reason.length <= 500, 'a reason is clipped to 500 characters')
        assert.ok(reason.isWellFormed(), 'a clipped reason is still text')
        if (text.length <= 500) assert.equal(reason, text, 'a reason comes back as it was')
        else assert.equal(reason.slice(0, 490), text.slice(0, 490), 'a clipped reason keeps its beginning')
        const note = record.history.at(-1)?.note ?? ''
        assert.ok(note.length <= 500 && note.isWellFormed(), 'a note is clipped to 500 characters')
        await b
          .resolve(id, {
            fence: claim.claim.fence,
            as: { state: 'released' },
            actor: text.slice(0, 100),
            reason: 'x',
          })
          .catch((error: unknown) =>
            assert.ok(error instanceof TypeError && text.slice(0, 100).trim() === '', String(error)),
          )
      }
    },
  },
]

/** The same pair of texts for every run; the number in front of the scope keeps the pairs apart. */
function idIn([scope, key]: readonly [string, string], index: number): OperationId {
  return operationId(`${index}${scope}`, key)
}

function swapCase(text: string): string {
  return text.replace(/[A-Za-z]/g, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  )
}
