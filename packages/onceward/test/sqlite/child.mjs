// One process among several that share a SQLite file. Writes its findings as JSON lines.
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'

if (process.env.HIDE_BUILT_IN) process.getBuiltinModule = () => undefined

const dist = process.env.ONCEWARD_DIST
const { operationId } = await import(new URL('core/index.js', dist).href)
const { sqliteStore } = await import(new URL('stores/sqlite/index.js', dist).href)
const { sqliteLocks } = await import(new URL('locks/sqlite/index.js', dist).href)
const [, , task, path, ...args] = process.argv

const DAY_MS = 86_400_000
const say = (report) => process.stdout.write(`${JSON.stringify(report)}\n`)
const request = (key, owner) => ({
  id: operationId('test', key),
  owner,
  leaseMs: 60_000,
  retentionMs: DAY_MS,
  onCrash: 'hold',
})
const told = () => once(process.stdin, 'data')
const value = (text) => ({ kind: 'value', value: new TextEncoder().encode(text) })

const tasks = {
  async open() {
    sqliteStore(path)
    say({ opened: true })
  },
  async 'claim-once'() {
    const reply = await sqliteStore(path).claim(request('one', 'child'))
    say({ reply: reply.state })
  },
  async migrate() {
    say({ ready: true })
    await told()
    const store = sqliteStore(path)
    const applied = await store.migrate()
    const reply = await store.claim(request('after the migration', `owner-${process.pid}`))
    say({ applied, reply: reply.state })
    await store.close()
  },
  /** Claims the same keys as its siblings, and completes what it was granted. */
  async race() {
    const store = sqliteStore(path)
    await store.stats()
    say({ ready: true })
    await told()
    const granted = []
    const keys = Array.from({ length: Number(args[0]) }, (_, index) => `key-${index}`)
    await Promise.all(
      keys.map(async (key) => {
        const reply = await store.claim(request(key, `owner-${process.pid}-${key}`))
        if (reply.state !== 'claimed') return
        granted.push({ key, fence: reply.claim.fence })
        const completed = await store.complete(reply.claim, value(String(process.pid)), DAY_MS)
        if (!completed) throw new Error(`lost ${key}`)
      }),
    )
    say({ pid: process.pid, granted })
    await store.close()
  },
  /** Waits for the end of an operation that another process runs. */
  async wait() {
    let looks = 0
    let looked
    const ready = new Promise((resolve) => {
      looked = resolve
    })
    // Some looks have found nothing before the operation ends.
    const after = (delayMs, callback) => {
      if (++looks === 10) looked()
      const timer = setTimeout(callback, delayMs)
      return () => clearTimeout(timer)
    }
    const store = sqliteStore(path, { timers: { after } })
    const id = operationId('test', args[0])
    await store.stats()
    const waiting = store.watch(id, AbortSignal.timeout(20_000))
    await ready
    say({ ready: true })
    await waiting
    const record = await store.get(id)
    say({ state: record?.state, at: Date.now() })
    await store.close()
  },
  /** Counts in a file under a lock, one step at a time: read, wait, write. */
  async count() {
    const [counter, rounds] = args
    const locks = sqliteLocks(path)
    await locks.migrate()
    say({ ready: true })
    await told()
    const fences = []
    for (let round = 0; round < Number(rounds); round++) {
      const token = `${process.pid}-${round}`
      const asked = {
        key: 'counter',
        token,
        mode: 'exclusive',
        permits: 1,
        ttlMs: 20_000,
        owner: token,
        placeMs: 20_000,
      }
      let wake
      const stop = locks.watch(asked, () => wake?.())
      for (;;) {
        const woken = new Promise((resolve) => {
          wake = resolve
        })
        const reply = await locks.acquire(asked)
        if (reply.granted) {
          fences.push(reply.fence)
          break
        }
        await woken
      }
      stop()
      const before = Number(readFileSync(counter, 'utf8'))
      await new Promise((resolve) => setImmediate(resolve))
      writeFileSync(counter, String(before + 1))
      if (!(await locks.release(asked)).released) throw new Error('the lock was lost')
    }
    say({ fences })
    await locks.close()
  },
  /** Claims and completes without end, and says what was acknowledged. */
  async stream() {
    const store = sqliteStore(path)
    await store.stats()
    say({ ready: true })
    let next = 0
    const work = async () => {
      for (;;) {
        const key = `stream-${process.pid}-${next++}`
        const reply = await store.claim(request(key, key))
        say({ key, did: 'claimed', fence: reply.claim.fence })
        await store.complete(reply.claim, value(key), DAY_MS)
        say({ key, did: 'completed' })
      }
    }
    await Promise.all(Array.from({ length: 32 }, work))
  },
}

try {
  await tasks[task]()
} catch (error) {
  say({ code: error.code, effect: error.effect, message: error.message })
}
process.stdin.destroy()
