import assert from 'node:assert/strict'
import { type LockCase, unlessPlaces } from '../lock-harness.ts'
import {
  asksFor,
  granted,
  heldBy,
  holdersOf,
  refused,
  someKey,
  stillHolds,
  viewOf,
  waitingFor,
  waitsFor,
} from '../lock-kit.ts'

/** What people see, and whatever text they use. */
export const viewCases: readonly LockCase[] = [
  {
    name: 'nothing is known of a key that nobody has used',
    async run({ a }) {
      assert.equal(await a.inspect(someKey()), undefined)
    },
  },
  {
    name: 'people see who holds a lock, how, since which fence, and for how long still',
    async run({ a, b, longMs, slackMs }) {
      const held = await heldBy(a, someKey(), { owner: 'worker 7', meta: 'batch 3 of 9' })
      const view = await viewOf(b, held.key)
      const [holder, ...more] = view.holders
      assert.ok(holder)
      assert.deepEqual(more, [], 'one holds it')
      const { remainingMs, ...rest } = holder
      assert.deepEqual(
        plain(rest),
        plain({ owner: 'worker 7', mode: 'exclusive', fence: held.fence, meta: 'batch 3 of 9' }),
      )
      assert.ok(
        remainingMs > longMs / 2 && remainingMs <= longMs + slackMs,
        `it holds for ${longMs} ms, not for ${remainingMs}`,
      )
      assert.equal(view.key, held.key)
      assert.equal(view.fence, held.fence)
      assert.equal(view.waiting, 0)
      assert.deepEqual(view.forced, [])
      const [without] = (await viewOf(b, (await heldBy(a, someKey())).key)).holders
      assert.equal(without?.meta, undefined, 'who says nothing shows nothing')
    },
  },
  {
    name: 'people see how many wait, and neither who has lapsed nor a place that was given up',
    unless: unlessPlaces,
    async run({ a, b, unitMs, lapse, inTime }) {
      const { key, brief, lasting } = await inTime(async () => {
        const key = someKey()
        const brief = await heldBy(a, key, { ttlMs: unitMs })
        await refused(b, waitsFor(key, { placeMs: unitMs }), 'another holds the lock')
        const lasting = waitsFor(key)
        await refused(b, lasting, 'another holds the lock')
        assert.equal(await waitingFor(a, key), 2)
        return { key, brief, lasting }
      })
      await lapse()
      assert.equal(await holdersOf(a, key), 0, 'the holder has lapsed')
      assert.equal(await waitingFor(a, key), 1, 'one place was given up')
      assert.equal((await a.release(brief)).released, false)
      await granted(b, lasting, 'it is its turn')
      assert.equal(await waitingFor(a, key), 0)
      assert.equal(await holdersOf(a, key), 1)
    },
  },
  {
    name: 'no view shows a token: a token is the right to release',
    async run({ a, b, capabilities }) {
      const key = someKey()
      const held = await heldBy(a, key, { meta: 'batch 1' })
      const waiting = capabilities.fifo ? waitsFor(key) : asksFor(key)
      await refused(b, waiting, 'another holds the lock')
      const to = asksFor(key)
      const shows = async (why: string) => {
        const shown = JSON.stringify(await viewOf(b, key))
        for (const { token } of [held, waiting, to]) assert.ok(!shown.includes(token), `${why}: ${shown}`)
      }
      await shows('of a holder or a waiter')
      await a.transfer(held, to)
      await shows('after a transfer')
      await a.forceRelease({ key, by: 'ada', reason: 'it hangs' })
      await shows('after a forced release')
    },
  },
  {
    name: 'any text is a key of its own',
    async run({ a, b }) {
      const held = []
      for (const key of hostileKeys())
        held.push(await heldBy(a, key, {}, `nobody holds ${JSON.stringify(key)}`))
      for (const one of held) {
        const name = JSON.stringify(one.key)
        await refused(b, asksFor(one.key), `${name} is held`)
        await stillHolds(b, one, `${name} is held by its token`)
        assert.equal((await viewOf(b, one.key)).key, one.key, 'people see the key as it is')
        assert.equal(await holdersOf(b, one.key), 1)
      }
      for (const one of held) assert.equal((await b.release(one)).released, true, JSON.stringify(one.key))
      for (const one of held) assert.equal(await holdersOf(a, one.key), 0, JSON.stringify(one.key))
    },
  },
  {
    name: 'any text says who holds and why',
    async run({ a, b, longMs }) {
      for (const text of hostileTexts()) {
        const held = await heldBy(a, someKey(), { owner: text.slice(0, 200), meta: text })
        const look = async () => {
          const [holder] = (await viewOf(b, held.key)).holders
          assert.deepEqual([holder?.owner, holder?.meta], [text.slice(0, 200), text])
        }
        await look()
        await b.extend([{ key: held.key, token: held.token, ttlMs: longMs, meta: 'x' }])
        await b.extend([{ key: held.key, token: held.token, ttlMs: longMs, meta: text }])
        await look()
        const reason = text === '' ? 'nothing' : text
        await a.forceRelease({ key: held.key, by: text.slice(0, 200), reason })
        assert.deepEqual(
          (await viewOf(b, held.key)).forced.map(({ by, reason: why }) => [by, why]),
          [[text.slice(0, 200), reason]],
        )
      }
    },
  },
]

/** Keys that only look alike, or that mean something to somebody. All well-formed, at most 512 bytes. */
function hostileKeys(): readonly string[] {
  const one = someKey()
  const alike = [
    '',
    'a',
    'A',
    'a ',
    ' a',
    'á',
    'a\u0301',
    'ａ',
    'ß',
    'ss',
    'a/',
    '/a',
    'a:b',
    'a',
    '{a}',
    'a}{',
    '{',
    '}',
  ]
  const meant = [
    "' OR 1=1 --",
    '"',
    '\\',
    '\\"',
    '%',
    '_',
    'a%',
    '*',
    '?',
    '$1',
    '#{x}',
    '[a-z]',
    '🔒',
    '👩‍👩‍👧',
    '\u2028',
    '…',
  ]
  const long = 'x'.repeat(511 - one.length)
  const texts = [...alike, ...meant, `${long}y`, `${long}z`]
  return [
    ...new Set(texts.map((text) => `${one}${text}`)),
    '__proto__',
    'constructor',
    'null',
    '0',
    `{${one}}`,
  ]
}

/** What somebody may say of itself: at most 1 KiB. */
function hostileTexts(): readonly string[] {
  return [
    '',
    `it's "quoted" \\ and {braced}, $1 %s ?`,
    '{"json":["\\"",null]}',
    'ünï → 🔒 👩‍👩‍👧 \u2028 \u00a0',
    'two\nlines\tand a tab',
    'null',
    '0',
    'x'.repeat(1024),
  ]
}

/** Without the fields that have no value. */
function plain(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined))
}
