import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpBench, type HttpCase, httpCase } from './http-bench.ts'
import { field } from './http-connection.ts'
import { assertProblem, assertRefused } from './http-problem.ts'

const KEY_INVALID = { status: 400, code: 'key-invalid', retryable: false, effect: 'none' } as const

/** How the key is read: SECURITY-CASES 1 to 7, 15 and 16. */
export const keyCases: readonly HttpCase[] = [
  httpCase('a safe method with a key passes through, every time', {}, async (bench) => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const request = { method, key: 'safe', body: null }
      const before = bench.seen.length
      assertExecuted(await bench.send(request), 201)
      assertExecuted(await bench.send(request), 201)
      assert.equal(bench.seen.length, before + 2, `${method} was answered without the application`)
    }
    assertExecuted(await bench.send({ key: 'safe' }), 201)
    assert.equal(bench.effects, 1, 'a safe method used up the key')
  }),

  httpCase('a request without a key runs every time where none is required', {}, async (bench) => {
    const first = await bench.send()
    const second = await bench.send()
    for (const response of [first, second]) {
      assertExecuted(response, 201)
      assert.equal(field(response, 'idempotency-expires'), undefined)
    }
    assert.equal(bench.effects, 2)
  }),

  httpCase(
    'a missing key is refused where one is required',
    { options: { requireKey: true } },
    async (bench) => {
      assertProblem(await bench.send(), { ...KEY_INVALID, code: 'key-missing' })
      assert.equal(bench.effects, 0)
      assertExecuted(await bench.send({ method: 'GET', body: null }), 201)
      assertExecuted(await bench.send({ key: 'given' }), 201)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase('two key fields are refused, equal or not', {}, async (bench) => {
    for (const other of ['one', 'two'])
      assertProblem(await bench.send({ key: 'one', headers: [['Idempotency-Key', other]] }), KEY_INVALID)
    assert.equal(bench.effects, 0)
  }),

  httpCase('an empty key is refused, bare or quoted', {}, async (bench) => {
    for (const key of ['', '   ', '""']) assertProblem(await bench.send({ key }), KEY_INVALID)
    assert.equal(bench.effects, 0)
  }),

  httpCase('a key of 255 bytes is taken, one of 256 is refused', {}, async (bench) => {
    const longest = 'k'.repeat(255)
    const first = await bench.send({ key: longest })
    assertExecuted(first, 201)
    assertReplay(first, await bench.send({ key: `"${longest}"` }))
    assertProblem(await bench.send({ key: `${longest}k` }), KEY_INVALID)
    assertProblem(await bench.send({ key: `"${longest}k"` }), KEY_INVALID)
    assert.equal(bench.effects, 1)
  }),

  httpCase('a key with bytes beyond ASCII, a TAB or a broken quoted form is refused', {}, async (bench) => {
    const broken = [
      'caf\xe9',
      'caf\xc3\xa9',
      '"caf\xe9"',
      'a\tb',
      '"a\tb"',
      '"open',
      '"a" b',
      '"a", "b"',
      '"a\\x"',
    ]
    for (const key of broken) {
      const response = await bench.send({ key })
      assert.equal(response.status, 400, `${JSON.stringify(key)} was answered ${response.status}`)
      assertProblem(response, KEY_INVALID)
    }
    assert.equal(bench.effects, 0)
  }),

  httpCase('a key with a control byte is refused, by whomever', {}, async (bench) => {
    for (const key of ['a\x00b', 'a\x07b', 'a\x7fb']) assertRefused(await bench.send({ key }), 400)
    assert.equal(bench.effects, 0)
  }),

  httpCase('the quoted and the bare form of a key are one key', {}, async (bench) => {
    const first = await bench.send({ key: 'order-7' })
    assertReplay(first, await bench.send({ key: '"order-7"' }))
    const second = await bench.send({ key: '"order-8"' })
    assertReplay(second, await bench.send({ key: 'order-8' }))
    assert.equal(bench.effects, 2)
  }),

  httpCase('the name of the key field may be written in any case', {}, async (bench) => {
    const first = await bench.send({ headers: [['IDEMPOTENCY-KEY', 'shout']] })
    assertReplay(first, await bench.send({ headers: [['idempotency-Key', 'shout']] }))
    assert.equal(bench.effects, 1)
  }),

  httpCase('names that mean something in JavaScript are ordinary keys and scopes', {}, async (bench) => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    await eachIsItsOwn(bench, names, (name) => ({ key: name }))
    await eachIsItsOwn(bench, names, (name) => ({ key: 'same', tenant: name }))
  }),

  httpCase('characters that mean something to a store are inert', {}, async (bench) => {
    const keys = ['*', '{tag}', "' OR 1=1 --", '%00', '../..', ':', '$x', 'a b', '?', '[a-z]*']
    await eachIsItsOwn(bench, keys, (key) => ({ key: `"${key}"` }))
    await eachIsItsOwn(bench, keys, (key) => ({ key: '"same"', tenant: key }))
  }),

  httpCase('backslashes and quotes in a quoted key are read as RFC 9651 says', {}, async (bench) => {
    const first = await bench.send({ key: String.raw`"a\"b"` })
    assertExecuted(first, 201)
    assertExecuted(await bench.send({ key: String.raw`"a\\b"` }), 201)
    assertReplay(first, await bench.send({ key: String.raw`"a\"b"` }))
    assert.equal(bench.effects, 2)
  }),

  httpCase('a hostile key or preference is read in no time', {}, async (bench) => {
    const hostile = ['"'.repeat(4000), `"${'\\'.repeat(4001)}`, ' '.repeat(4000), `"${'a '.repeat(2000)}`]
    for (const key of hostile) assertProblem(await bench.send({ key }), KEY_INVALID)
    const prefer = [
      'wait='.repeat(1000),
      `${'wait=1,'.repeat(900)}`,
      `${'a;'.repeat(2000)}`,
      '"'.repeat(4000),
    ]
    for (const [index, value] of prefer.entries())
      assertExecuted(await bench.send({ key: `prefer-${index}`, headers: [['Prefer', value]] }), 201)
  }),
]

/** Each name runs once and replays its own answer, whatever the others are. */
async function eachIsItsOwn(
  bench: HttpBench,
  names: readonly string[],
  request: (name: string) => { readonly key: string; readonly tenant?: string },
): Promise<void> {
  const before = bench.effects
  const firsts = []
  for (const name of names) firsts.push(await bench.send(request(name)))
  assert.equal(bench.effects, before + names.length, 'two names were taken for one')
  for (const [index, name] of names.entries()) {
    const first = firsts[index]
    assert.ok(first)
    assertExecuted(first, 201)
    assertReplay(first, await bench.send(request(name)))
  }
  assert.equal(bench.effects, before + names.length)
}
