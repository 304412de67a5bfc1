import type { LockFaultKind } from './lock-faults.ts'

/** A fault put into a copy of the built library; the trials have to notice it. */
export interface LockMutant {
  readonly name: string
  /** The backend that shows it. */
  readonly store: string
  /** In the built library. */
  readonly file: string
  /** A text that is there once… */
  readonly find: string
  /** …and what takes its place. */
  readonly replace: string
  /** Only these faults happen, so that it shows sooner. Default: all of the backend. */
  readonly faults?: readonly LockFaultKind[]
}

const STOPS: readonly LockFaultKind[] = ['kill', 'stop']
const SLOW: readonly LockFaultKind[] = ['stop', 'net-delay', 'store-stop']

/** Faults in the engine of locks and in the backends. */
export const LOCK_MUTANTS: readonly LockMutant[] = [
  {
    name: 'a holder counts on its lease for twice its time',
    store: 'sqlite',
    file: 'core/lease-clock.js',
    find: 'return leaseMs - (leaseMs * (0.02 + drift) + 2);',
    replace: 'return leaseMs * 2;',
    faults: STOPS,
  },
  {
    name: 'the deadline of a lease never comes nearer',
    store: 'sqlite',
    file: 'locks/watchdog.js',
    find: ' - sinceMs(this.#engine, terms.sentAt);',
    replace: ';',
    faults: STOPS,
  },
  {
    name: 'the deadline of a grant counts from the reply',
    store: 'redis',
    file: 'locks/contention.js',
    find: 'return { request, sentAt, reply,',
    replace: 'return { request, sentAt: readClock(this.#parts.engine), reply,',
    faults: SLOW,
  },
  {
    name: 'an extension is counted on for twice its time',
    store: 'sqlite',
    file: 'locks/watchdog.js',
    find: 'grant.sentAt = sentAt;\n        grant.ttlMs = ttlMs;',
    replace:
      'grant.sentAt = { now: sentAt.now + ttlMs, monotonic: sentAt.monotonic + ttlMs };\n        grant.ttlMs = ttlMs;',
    faults: STOPS,
  },
  {
    name: 'assertHeld does not look at the clock',
    store: 'sqlite',
    file: 'locks/lease.js',
    find: 'if (this.remainingMs() > 0)\n            return;',
    replace: "if (this.#state !== 'released')\n            return;",
    faults: STOPS,
  },
  {
    name: 'a hand-over inside a process takes no new fence',
    store: 'sqlite',
    file: 'locks/holdings.js',
    find: 'grant.fence++;',
    replace: 'void 0;',
  },
  {
    name: 'a failed release takes the place of what the work answered',
    store: 'redis',
    file: 'locks/create-locks.js',
    find: 'await lease[Symbol.asyncDispose]();',
    replace: 'await lease.release();',
    faults: ['store-kill', 'store-stop', 'net-partition'],
  },
  {
    name: 'a failed extension is nobody’s concern',
    store: 'redis',
    file: 'locks/extension.js',
    find: '(error) => {\n            for (const extension of extensions)',
    replace: '(error) => {\n            throw error;\n            for (const extension of extensions)',
    faults: ['store-kill', 'store-stop', 'net-partition'],
  },
  {
    name: 'a waiter that is refused never asks again by itself',
    store: 'redis',
    file: 'locks/contention.js',
    find: 'await this.#pause(Math.min(jittered(random, SAFETY_POLL_MS, 1 / 3), reply.retryAfterMs + 1));',
    replace: 'await this.#pause(1e9);',
    faults: ['kill', 'stop', 'net-drop-replies', 'net-partition'],
  },
  {
    name: 'a release takes the lock from whoever has it',
    store: 'sqlite',
    file: 'locks/lock-transitions.js',
    find: 'const left = without(record, (token) => token === held.token);',
    replace: 'const left = { ...without(record, (token) => token === held.token), holders: [] };',
  },
  {
    name: 'fences are always 1',
    store: 'sqlite',
    file: 'locks/lock-transitions.js',
    find: 'const fence = Math.max(record.fence + 1, fenceAt(now));',
    replace: 'const fence = 1;',
  },
  {
    name: 'fences are the seconds of the clock',
    store: 'sqlite',
    file: 'locks/lock-transitions.js',
    find: 'const fence = Math.max(record.fence + 1, fenceAt(now));',
    replace: 'const fence = Math.floor(now / 1000);',
  },
  {
    name: 'a lock lapses a little before its time',
    store: 'sqlite',
    file: 'locks/lock-transitions.js',
    find: 'const lives = ({ until }) => until > now;',
    replace: 'const lives = ({ until }) => until > now + 150;',
    faults: STOPS,
  },
  {
    name: 'two may hold a lock alone',
    store: 'redis',
    file: 'locks/redis/record-lua.js',
    find: "if mode == 'x' then return #holders == 0 end",
    replace: "if mode == 'x' then return #holders < 2 end",
  },
  {
    name: 'a release in Redis does not look at the token',
    store: 'redis',
    file: 'locks/redis/lock-scripts.js',
    find: 'if held then table.remove(holders, held) end',
    replace: 'holders = {}',
  },
  {
    name: 'an extension in Redis counts in tenths',
    store: 'redis',
    file: 'locks/redis/lock-scripts.js',
    find: 'if not held then return {0} end\n    holders[held][5] = now + ttl',
    replace: 'if not held then return {0} end\n    holders[held][5] = now + ttl / 10',
  },
  {
    name: 'PostgreSQL grants what another holds',
    store: 'postgres',
    file: 'drivers/pg/migrations/0002-locks.sql',
    find: 'WHERE o.key = asked AND o.busy_until <= ms AND (o.token IS NULL OR o.until <= ms)',
    replace: 'WHERE o.key = asked AND o.busy_until <= ms AND (o.token IS NULL OR o.until <= ms + 200)',
  },
  {
    name: 'PostgreSQL releases for whoever asks',
    store: 'postgres',
    file: 'drivers/pg/migrations/0002-locks.sql',
    find: 'WHERE o.key = asked AND o.token = nonce AND o.busy_until <= ms',
    replace: 'WHERE o.key = asked AND o.busy_until <= ms',
  },
  {
    name: 'MariaDB grants what has not lapsed yet',
    store: 'mysql',
    file: 'locks/mysql/lock-statements.js',
    find: '(token IS NULL OR until <= ',
    replace: '(token IS NULL OR until <= 200 + ',
  },
]
