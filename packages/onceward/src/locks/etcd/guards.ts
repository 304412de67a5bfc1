import { createdIs, type EtcdCompare, isAbsent, putsAreBefore } from '../../drivers/etcd/index.ts'
import type { AcquireRequest } from '../lock-backend.ts'
import type { LockPaths } from './lock-paths.ts'

/**
 * What must be true in the very step that grants.
 *
 * @param created - The revision that created the request's place; absent without one.
 * @param read - The revision at which the holders were counted and found few enough; absent when they were not.
 */
export function guards(
  paths: LockPaths,
  request: AcquireRequest,
  created: number | undefined,
  read: number | undefined,
): readonly EtcdCompare[] {
  return [...holderGuards(paths, request, read), ...queueGuards(paths, request, created)]
}

/** Nobody holds it in a way that excludes the request. */
function holderGuards(
  paths: LockPaths,
  { token, mode, permits }: AcquireRequest,
  read: number | undefined,
): readonly EtcdCompare[] {
  if (mode === 'exclusive') return [isAbsent(paths.held)]
  const nobodyAlone = isAbsent(paths.heldIn('exclusive'))
  // Readers without a bound do not mind each other; but one that asks again has its grant already.
  if (permits === Infinity) return [nobodyAlone, isAbsent(paths.holder('shared', token))]
  // Those who left since they were counted only make room.
  const shared = paths.heldIn('shared')
  return [nobodyAlone, read === undefined ? isAbsent(shared) : putsAreBefore(shared, read)]
}

/** Nobody came before. */
function queueGuards(
  paths: LockPaths,
  { token, overtake = false }: AcquireRequest,
  created: number | undefined,
): readonly EtcdCompare[] {
  if (overtake) return []
  if (created === undefined) return [isAbsent(paths.waiting)]
  return [createdIs(paths.place(token), 'EQUAL', created), createdIs(paths.waiting, 'GREATER', created - 1)]
}
