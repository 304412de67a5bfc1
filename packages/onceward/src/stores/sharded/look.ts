import type { OperationId, OperationRecord } from '../../core/operation.ts'
import { isLive } from './record-rank.ts'
import type { Shard } from './shard.ts'

/** A record, and where it was found. */
export interface Found {
  readonly home: Shard
  readonly record: OperationRecord
}

/** Reads a record at every one of `homes`. @throws what any of them throws: what cannot be seen may be there. */
export async function lookAtAll(homes: readonly Shard[], id: OperationId): Promise<readonly Found[]> {
  const found = await Promise.all(homes.map((home) => lookAtOne(home, id)))
  return found.flatMap((one) => (one ? [one] : []))
}

/** Like {@link lookAtAll}, but a home that fails is no obstacle where another one has what is looked for. */
export async function lookAt(
  homes: readonly Shard[],
  id: OperationId,
  lookedFor: (record: OperationRecord) => boolean = isLive,
): Promise<readonly Found[]> {
  const looks = await Promise.allSettled(homes.map((home) => lookAtOne(home, id)))
  const found = looks.flatMap((look) => (look.status === 'fulfilled' && look.value ? [look.value] : []))
  const failed = looks.find((look) => look.status === 'rejected')
  if (failed && !found.some(({ record }) => lookedFor(record))) throw failed.reason
  return found
}

async function lookAtOne(home: Shard, id: OperationId): Promise<Found | undefined> {
  const record = await home.call((store) => store.get(id))
  return record && { home, record }
}
