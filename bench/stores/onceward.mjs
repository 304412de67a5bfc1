import { createOnce, operationId, valueCodec } from 'onceward'
import { LEASE_MS, RETENTION_MS } from './contestant.mjs'

/**
 * The store alone: a claim and a completion, as the engine sends them, without the engine.
 *
 * @param {string} name
 * @param {(url: string) => Promise<{ store: import('onceward').OperationStore, close(): Promise<void> }>} connect
 * @returns {import('./contestant.mjs').Contestant}
 */
export function storeContestant(name, connect) {
  return {
    name,
    async open(url) {
      const { store, close } = await connect(url)
      let count = 0
      return {
        async run(key, work) {
          const id = operationId('bench', key)
          const reply = await store.claim({
            id,
            owner: `owner-${process.pid}-${count++}`.padEnd(24, 'o'),
            fingerprint: id.digest,
            leaseMs: LEASE_MS,
            retentionMs: RETENTION_MS,
            onCrash: 'hold',
          })
          if (reply.state === 'done') return valueCodec.decode(bytesOf(reply.outcome))
          if (reply.state !== 'claimed') throw new Error(`turned away: ${reply.state}`)
          const receipt = work()
          const outcome = /** @type {const} */ ({ kind: 'value', value: valueCodec.encode(receipt) })
          if (!(await store.complete(reply.claim, outcome, RETENTION_MS)))
            throw new Error('the claim was lost')
          return receipt
        },
        close,
      }
    },
  }
}

/**
 * The library as it is used: `once.run`, with key, fingerprint of the input, heartbeat, codec and events.
 *
 * @param {string} name
 * @param {(url: string) => Promise<{ store: import('onceward').OperationStore, close(): Promise<void> }>} connect
 * @param {{ cache?: false }} [options] Without `cache: false` its replays are repeated ones in one process.
 * @returns {import('./contestant.mjs').Contestant}
 */
export function onceContestant(name, connect, options = {}) {
  return {
    name,
    // As few keys as its cache holds, and fresh ones say nothing about a cache.
    ...(options.cache === false ? {} : { knownKeys: 500, kinds: ['replay', 'storm'] }),
    async open(url) {
      const { store, close } = await connect(url)
      const once = createOnce({
        store,
        scope: 'bench',
        leaseMs: LEASE_MS,
        retentionMs: RETENTION_MS,
        ...options,
      })
      return {
        run: (key, work) => once.run({ key, input: { order: key, amount: 4200 } }, () => work()),
        async close() {
          await once.close()
          await close()
        },
      }
    },
  }
}

/** @param {import('onceward').Outcome} outcome */
function bytesOf(outcome) {
  if (outcome.kind !== 'value') throw new Error(`not a value: ${outcome.kind}`)
  return outcome.value
}
