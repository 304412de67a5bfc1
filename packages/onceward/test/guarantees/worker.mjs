// A process that runs one operation on a SQLite file and dies, pauses or finishes where it is told to.
// node worker.mjs '{"file", "sink", "mode": "hold|rerun|downstream|transaction", "at": "before|effect|after|none"}'
import { appendFileSync } from 'node:fs'
import { createOnce } from 'onceward'
import { sqliteStore } from 'onceward/sqlite'

const { file, sink, mode, at, leaseMs } = JSON.parse(process.argv[2] ?? '{}')
const store = sqliteStore(file)
await store.migrate()
const once = createOnce({
  store,
  scope: 'payments',
  leaseMs,
  onCrash: mode === 'hold' || mode === 'transaction' ? 'hold' : 'rerun',
  // Where the effect is done and the outcome is about to be stored.
  codec: {
    encode: (value) => {
      strike('after')
      return Buffer.from(JSON.stringify(value))
    },
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
  },
})

function strike(/** @type {string} */ point) {
  if (at === point) process.kill(process.pid, 'SIGKILL')
}

const call = { key: 'order-1', waitMs: 5000 }
const reply =
  mode === 'transaction'
    ? await once.transaction(call, (tx, op) => {
        strike('before')
        tx.prepare('INSERT INTO charges (attempt) VALUES (?)').run(op.attempt)
        strike('effect')
        return { attempt: op.attempt }
      })
    : await once.attempt(call, (op) => {
        strike('before')
        appendFileSync(sink, `${mode === 'downstream' ? op.downstreamKey('bank') : op.attempt}\n`)
        strike('effect')
        return { attempt: op.attempt }
      })
console.log(JSON.stringify(reply))
await once.close()
await store.close()
