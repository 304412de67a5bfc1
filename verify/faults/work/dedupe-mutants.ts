import type { FaultKind } from '../harness/fault-kinds.ts'
import { PROCESS_FAULTS } from '../harness/trial-faults.ts'
import type { WorkMutant } from './work-mutant.ts'

const LOST_REPLIES: readonly FaultKind[] = ['net-cut-on-reply', 'net-drop-replies', 'net-reset']

/** Faults in dedupe, and in what stores remember for it. */
export const DEDUPE_MUTANTS: readonly WorkMutant[] = [
  {
    name: 'whoever finds an item marked has marked it',
    lane: 'dedupe',
    store: 'sqlite',
    edits: [
      {
        file: 'stores/sqlite/sqlite-seen.js',
        find: 'WHERE digest = ? AND mark_id = ?',
        replace: 'WHERE digest = ? AND ? IS NOT NULL',
      },
    ],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'a sight that is asked about again is told that the item was seen',
    lane: 'dedupe',
    store: 'sqlite',
    edits: [
      {
        file: 'stores/sqlite/sqlite-seen.js',
        find: 'return isMine.get(digest, mark) !== undefined;',
        replace: 'return false;',
      },
    ],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'who waits for the look of another caller is told the same',
    lane: 'dedupe',
    store: 'sqlite',
    edits: [
      {
        file: 'dedupe/single-sights.js',
        find: 'await before;\n                return false;',
        replace: 'return before;',
      },
    ],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'an item is forgotten before its window is over',
    lane: 'dedupe',
    store: 'redis',
    edits: [
      {
        file: 'stores/redis/redis-seen.js',
        find: "if redis.call('SET', KEYS[i], mark, 'NX', 'PX', window)",
        replace: "if redis.call('SET', KEYS[i], mark, 'NX', 'PX', math.floor(window / 3))",
      },
    ],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'a call that is repeated has another nonce',
    lane: 'dedupe',
    store: 'redis',
    edits: [
      {
        file: 'dedupe/create-dedupe.js',
        find: 'seen.mark({ digests, markId, windowMs, sliding })',
        replace: 'seen.mark({ digests, markId: freshMarkId(), windowMs, sliding })',
      },
    ],
    faults: LOST_REPLIES,
  },
  {
    name: 'every window is over at once',
    lane: 'dedupe',
    store: 'postgres',
    edits: [
      {
        file: 'stores/postgres/postgres-seen.js',
        find: "const isOver = 's.expires_at <= excluded.expires_at - $2::bigint';",
        replace: "const isOver = 's.expires_at <= excluded.expires_at';",
      },
    ],
    faults: PROCESS_FAULTS,
  },
]
