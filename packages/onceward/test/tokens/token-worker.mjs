// A process that uses up tokens, and dies by its own hand now and then, in the middle of it.
// node token-worker.mjs '{"store", "place", "tokens", "sink", "deaths"}'
import { appendFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { createOnce, isOncewardError } from 'onceward'
import { redisStore } from 'onceward/redis'
import { sqliteStore } from 'onceward/sqlite'
import { createTokens } from 'onceward/tokens'

const { store: kind, place, prefix, tokens: given, sink, deaths } = JSON.parse(process.argv[2] ?? '{}')
const client = kind === 'redis' ? new Redis(place) : undefined
const inner = client ? redisStore(client, { prefix }) : sqliteStore(place)

const mayDie = () => {
  if (Math.random() < deaths) process.kill(process.pid, 'SIGKILL')
}
// Dies before a claim is asked for, after it was granted, before and after the end is stored.
const store = {
  ...inner,
  ...Object.fromEntries(
    ['claim', 'complete'].map((name) => [
      name,
      async (/** @type {unknown[]} */ ...args) => {
        mayDie()
        const reply = await inner[name](...args)
        mayDie()
        return reply
      },
    ]),
  ),
}
const tokens = createTokens({ once: createOnce({ store, scope: 'shop', leaseMs: 1500, cache: false }) })
const note = (/** @type {string} */ token) => appendFileSync(sink, `${token}\n`)

for (const token of given.sort(() => Math.random() - 0.5)) {
  try {
    if (Math.random() < 0.5) {
      const { outcome } = await tokens.consume(token, { scope: 'ann' })
      if (outcome === 'consumed') note(token)
    } else await tokens.redeem(token, () => note(token), { scope: 'ann', whenRunning: 'reject' })
  } catch (error) {
    // Refusals are what is expected; on a busy machine a claim may be lost too. What happened is in the sink.
    if (!isOncewardError(error)) throw error
  }
}
await inner.close()
client?.disconnect()
