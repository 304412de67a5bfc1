/** The built library as a user gets it, on whichever Node runs this. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { createOnce, finalFailure, isOncewardError, noEffect } from 'onceward'
import { memoryStore } from 'onceward/memory'

const newOnce = () => createOnce({ store: memoryStore(), scope: 'smoke' })

test('twenty parallel calls run the work once and all get its value', async () => {
  const once = newOnce()
  let effects = 0
  const charge = () =>
    once.run({ key: ['charge', 7], input: { amount: 7n } }, async () => {
      effects++
      return { at: new Date(0), amount: 7n, bytes: new Uint8Array([1, 2]), nothing: undefined }
    })
  const values = await Promise.all(Array.from({ length: 20 }, charge))
  assert.equal(effects, 1)
  for (const value of values) {
    assert.deepEqual(value, {
      at: new Date(0),
      amount: 7n,
      bytes: new Uint8Array([1, 2]),
      nothing: undefined,
    })
  }
})

test('attempt tells executed, replayed and reused apart', async () => {
  const once = newOnce()
  const work = async () => 'paid'
  assert.equal((await once.attempt({ key: 'k', input: 1 }, work)).outcome, 'executed')
  assert.equal((await once.attempt({ key: 'k', input: 1 }, work)).outcome, 'replayed')
  assert.equal((await once.attempt({ key: 'k', input: 2 }, work)).outcome, 'reused')
})

test('a failure without effect may run again, a final one is replayed, an unknown one is held', async () => {
  const once = newOnce()
  const failing = (error) => () => Promise.reject(error)
  await assert.rejects(once.run({ key: 'a' }, failing(noEffect(new Error('declined')))), /declined/)
  assert.equal(await once.run({ key: 'a' }, () => 'paid'), 'paid')

  await assert.rejects(once.run({ key: 'b' }, failing(finalFailure(new Error('stolen card')))), /stolen card/)
  await assert.rejects(
    once.run({ key: 'b' }, () => 'paid'),
    (error) => isOncewardError(error, 'OPERATION_FAILED'),
  )

  await assert.rejects(once.run({ key: 'c' }, failing(new Error('connection reset'))), /connection reset/)
  assert.equal((await once.attempt({ key: 'c' }, () => 'paid')).outcome, 'held')
})
