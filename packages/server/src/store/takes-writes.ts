import { randomUUID } from 'node:crypto'
import { type OperationStore, operationId } from 'onceward'

/**
 * Makes sure that a store takes claims, by making one and giving it back: a replica, a full disk or a file that was
 * replaced still reads well. Nothing of it is listed.
 *
 * @throws What the store throws.
 */
export async function takesWrites(store: OperationStore): Promise<void> {
  const reply = await store.claim({
    id: operationId('onceward', 'readyz'),
    owner: randomUUID(),
    leaseMs: 1000,
    retentionMs: 1,
    onCrash: 'rerun',
  })
  // Somebody else who asks at this moment holds it: that was counted, which is a write too.
  if (reply.state === 'claimed') await store.release(reply.claim)
}
