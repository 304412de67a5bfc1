import { createPool as createCallbackPool, createPoolCluster } from 'mysql2'
import { createPool } from 'mysql2/promise'
import { expect, it } from 'vitest'
import { promisePool, whereOf } from './mysql-handle.ts'

const URL = 'mysql://app:hunter2@db.example:3307/shop'

it('takes a pool of either interface, and names it without user and password', async () => {
  const [promise, callback] = [createPool(URL), createCallbackPool(URL)]
  for (const pool of [promisePool(promise), promisePool(callback)])
    expect(whereOf(pool)).toBe('the MySQL database shop on db.example:3307')
  await Promise.all([promise.end(), callback.promise().end()])
})

it('refuses a cluster, a connection and everything else with the mend', async () => {
  const cluster = createPoolCluster()
  const connection = { execute() {}, query() {}, beginTransaction() {} }
  for (const [given, mend] of [
    [cluster, /lags behind/],
    [connection, /once\.within\(\)/],
    [undefined, /mysql\.createPool/],
    [URL, /mysql\.createPool/],
    [{}, /mysql\.createPool/],
  ] as const) {
    expect(() => promisePool(given)).toThrow(TypeError)
    expect(() => promisePool(given)).toThrow(mend)
  }
  cluster.end()
})
