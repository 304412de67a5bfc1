import type { LockRecord } from '../../src/locks/lock-record.ts'
import * as transitions from '../../src/locks/lock-transitions.ts'
import type { LockFlaw, LockParts } from './broken-rig.ts'

const EVERY_WAY = /makes the grant of a place as it was offered/

/** Flaws in places that become grants. */
export const brokenPlaces: readonly LockFlaw[] = [
  {
    name: 'a place that becomes the grant for longer than it was kept',
    rule: EVERY_WAY,
    break: (parts) =>
      makingRoom(parts, (found, now) => {
        const queue = found?.queue.map((place) => ({ ...place, until: now + 3_600_000 }))
        return found && queue && { ...found, queue }
      }),
  },
  {
    name: 'a place that becomes the grant with one fence, whatever it offered',
    rule: EVERY_WAY,
    model: true,
    break: (parts) =>
      makingRoom(parts, (found) => {
        const queue = found?.queue.map(({ offer, ...place }) =>
          offer ? { ...place, offer: { ...offer, fences: 1 } } : place,
        )
        return found && queue && { ...found, queue }
      }),
  },
  {
    name: 'a grant of a place that is told of as a turn',
    rule: EVERY_WAY,
    break: ({ sound }) => ({ watch: (held, wake) => sound.watch?.(held, () => wake()) ?? (() => {}) }),
  },
  {
    name: 'a place that becomes the grant after it has lapsed',
    rule: /a place that has lapsed becomes no grant/,
    model: true,
    break: (parts) =>
      makingRoom(parts, (found, now) => {
        const queue = found?.queue.map((place) => ({ ...place, until: Math.max(place.until, now + 1) }))
        return found && queue && { ...found, queue }
      }),
  },
  {
    name: 'a short lease that is granted for as long as its place was kept',
    rule: /a lease that is shorter than its place/,
    model: true,
    break: ({ step }) => ({
      acquire: (request) =>
        step(request.key, (found, now) => {
          const { ttlMs, placeMs = 0 } = request
          const plain = transitions.acquire(found, request, now)
          if (plain.reply.granted) return plain
          return transitions.acquire(found, { ...request, ttlMs: Math.max(ttlMs, placeMs) }, now)
        }),
    }),
  },
]

/** Whatever makes room looks at another record. */
function makingRoom(
  { step }: LockParts,
  changed: (found: LockRecord | undefined, now: number) => LockRecord | undefined,
): ReturnType<LockFlaw['break']> {
  return {
    release: (held, next) =>
      step(held.key, (found, now) => transitions.release(changed(found, now), held, now, next)),
    forceRelease: (request) =>
      step(request.key, (found, now) => transitions.forceRelease(changed(found, now), request, now)),
  }
}
