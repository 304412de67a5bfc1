import type { FaultKind } from './fault-kinds.ts'

/** A fault put into a copy of the built library: a piece of text that must be there exactly once, and what replaces it. */
export interface Mutant {
  /** What is broken, as a sentence. */
  readonly name: string
  /** The store whose trials must notice it. */
  readonly store: string
  /** The file below the built library. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The only faults under which it is looked for. Default: all that its store can meet. */
  readonly faults?: readonly FaultKind[]
}

/** Faults that the trials must notice. Each is one that somebody could make. */
export const MUTANTS: readonly Mutant[] = [
  // The life of a record.
  {
    name: 'a claim is taken over, or held, one lease early',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: 'if (now < record.leaseUntil) {',
    replace: 'if (now < record.leaseUntil - request.leaseMs) {',
  },
  {
    name: 'a lapsed claim is rerun though it holds',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: "record.onCrash === 'hold' ||",
    replace: 'false ||',
  },
  {
    name: 'a step that holds is rerun after a crash',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: "step.state === 'started' && step.onCrash === 'hold'",
    replace: 'false',
  },
  {
    name: 'anybody may complete a running operation',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: 'if (!owns(record, claim))\n        return { reply: false };\n    const event =',
    replace: 'const event =',
  },
  {
    name: 'a renewal asks for neither owner nor fence',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: 'if (!owns(record, claim))\n        return { reply: false };\n    return { write: withExpiry({ ...record, leaseUntil',
    replace:
      'if (!record)\n        return { reply: false };\n    return { write: withExpiry({ ...record, leaseUntil',
  },
  {
    name: 'anybody may give an operation back',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: "if (!owns(record, claim))\n        return { reply: false };\n    const steps = record.steps.filter((step) => step.state === 'done');\n    const write",
    replace: "const steps = record.steps.filter((step) => step.state === 'done');\n    const write",
  },
  {
    name: 'fences are those of the attempt',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: 'Math.max(previousFence + 1, Math.floor(now * 1000))',
    replace: '1',
  },
  {
    name: 'another input is not refused',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: "if (isOtherInput(record, request))\n        return { reply: { state: 'reused' } };",
    replace: '',
  },
  {
    name: 'a decision leaves no line in the audit',
    store: 'sqlite',
    file: 'core/transitions.js',
    find: '        audit: {\n',
    replace: '        notes: {\n',
  },
  // The engine.
  {
    name: 'a refused completion is taken for a success',
    store: 'sqlite',
    file: 'core/execution.js',
    find: "    if (stored === 'refused')\n        return { result: { error: claimLost() } };\n    if (stored === 'unreachable')\n        return { result: { error: new OncewardError('OUTCOME_NOT_STORED', undefined, { value }) } };\n",
    replace: '',
  },
  {
    name: 'an unmarked throw releases where it must hold',
    store: 'sqlite',
    file: 'core/execution.js',
    find: 'return hold(ending, error);',
    replace: "return release(ending, error, 'unknown');",
  },
  {
    name: 'a caller with another input joins the run of this process',
    store: 'sqlite',
    file: 'core/attempt.js',
    find: 'if (isOther(room.running.fingerprint, fingerprint))\n                return reused(engine, id);',
    replace: '',
  },
  {
    name: 'a step that must not be repeated is not announced',
    store: 'sqlite',
    file: 'core/step-runner.js',
    find: "await checkpoint({ name, state: 'started', onCrash });",
    replace: ';',
  },
  {
    name: 'a finished step is run again',
    store: 'sqlite',
    file: 'core/step-runner.js',
    find: 'if (known)\n            return finishedValue(known);',
    replace: '',
  },
  {
    name: 'a claim whose reply was lost is asked for under a new nonce',
    store: 'sqlite',
    file: 'core/claiming.js',
    find: 'engine.store.claim(request)',
    replace: 'engine.store.claim({ ...request, owner: engine.random.nonce() })',
    faults: ['reply-lost'],
  },
  // Transactions.
  {
    name: 'the outcome of a transaction is not stored in it',
    store: 'sqlite',
    file: 'core/transaction.js',
    find: 'const completed = yield store.completeIn(tx, reply.claim, outcome, asked.policy.retentionMs);',
    replace: 'const completed = true;',
  },
  {
    name: 'a transaction whose work throws is committed',
    store: 'sqlite',
    file: 'drivers/sqlite/write-lock.js',
    find: '    catch (error) {\n        undo({ connection });\n        throw error;',
    replace:
      '    catch (error) {\n        if (connection.inTransaction()) connection.commit();\n        throw error;',
  },
  // SQLite.
  {
    name: 'a claim is checked against what this process remembers, then set',
    store: 'sqlite',
    file: 'stores/sqlite/row-memory.js',
    find: 'rows.clear();\n            version',
    replace: ';\n            version',
  },
  {
    name: 'callers are told before the commit',
    store: 'sqlite',
    file: 'stores/sqlite/group-commit.js',
    find: '        try {\n            connection.commit();\n        }',
    replace:
      '        try {\n            setTimeout(() => { try { connection.commit(); } catch { } }, 20);\n        }',
  },
  // Redis: the rules in Lua.
  {
    name: 'a claim is taken over, or held, one lease early',
    store: 'redis',
    file: 'stores/redis/claim-lua.js',
    find: 'st == RUNNING and now >= lease\n',
    replace: 'st == RUNNING and now >= lease - leaseMs\n',
  },
  {
    name: 'a lapsed claim is rerun though it holds',
    store: 'redis',
    file: 'stores/redis/claim-lua.js',
    find: 'if lapsed and not lapseHolds() then',
    replace: 'if lapsed then',
  },
  {
    name: 'a step that holds is rerun after a crash',
    store: 'redis',
    file: 'stores/redis/record-lua.js',
    find: 'if state == 1 and holds == 1 then return true end',
    replace: '',
  },
  {
    name: 'anybody may complete a running operation',
    store: 'redis',
    file: 'stores/redis/transition-lua.js',
    find: 'if not owns(mine, given) then return 0 end\n  st, outcome,',
    replace: 'st, outcome,',
  },
  {
    name: 'a renewal asks for neither owner nor fence',
    store: 'redis',
    file: 'stores/redis/transition-lua.js',
    find: 'if not load() or not owns(mine, given) then return 0 end\n  lease =',
    replace: 'if not load() or st ~= RUNNING then return 0 end\n  lease =',
  },
  {
    name: 'fences are those of the attempt',
    store: 'redis',
    file: 'stores/redis/claim-lua.js',
    find: 'fence = previous + 1\n  if us > fence then fence = us end',
    replace: 'fence = 1',
  },
  {
    name: 'another input is not refused',
    store: 'redis',
    file: 'stores/redis/claim-lua.js',
    find: 'if lf > 0 and print',
    replace: 'if false and print',
  },
  // PostgreSQL: the fast statements, the slow ones under locks, and the lost COMMIT.
  {
    name: 'a claim that finds a record replaces it',
    store: 'postgres',
    file: 'drivers/pg/migrations/0001-operations.sql',
    find: 'ON CONFLICT (digest) DO NOTHING\n    RETURNING o.digest, o.created_at',
    replace:
      "ON CONFLICT (digest) DO UPDATE SET owner = EXCLUDED.owner, fence = EXCLUDED.fence, state = 'running', detail = NULL\n    RETURNING o.digest, o.created_at",
  },
  {
    name: 'anybody may complete a running operation',
    store: 'postgres',
    file: 'drivers/pg/migrations/0001-operations.sql',
    find: 'AND o.owner = a.owner AND o.fence = a.fence\n      AND o.attempt',
    replace: 'AND o.attempt',
    faults: ['pause-point', 'stop'],
  },
  {
    name: 'a renewal asks for neither owner nor fence',
    store: 'postgres',
    file: 'drivers/pg/migrations/0001-operations.sql',
    find: 'AND o.owner = a.owner AND o.fence = a.fence\n    RETURNING o.digest;',
    replace: 'RETURNING o.digest;',
    faults: ['pause-point', 'stop'],
  },
  {
    name: 'a record is read without its lock, decided, then written',
    store: 'postgres',
    file: 'stores/postgres/statements.js',
    find: 'ORDER BY o.digest FOR UPDATE)',
    replace: 'ORDER BY o.digest)',
  },
  {
    name: 'a claim is taken over, or held, one lease early',
    store: 'postgres',
    file: 'core/transitions.js',
    find: 'if (now < record.leaseUntil) {',
    replace: 'if (now < record.leaseUntil - request.leaseMs) {',
  },
  {
    name: 'a lost COMMIT is taken for a rollback',
    store: 'postgres',
    file: 'stores/postgres/store-transactions.js',
    find: 'if (!(error instanceof CommitFailed) || isRefusal(error))',
    replace: 'if (true)',
    faults: ['net-cut-commit', 'net-cut-on-reply'],
  },
  // MySQL and MariaDB.
  {
    name: 'anybody may complete a running operation',
    store: 'mariadb',
    // The fast statement alone would do without: it leaves alone whatever was claimed twice.
    file: 'core/transitions.js',
    find: 'if (!owns(record, claim))\n        return { reply: false };\n    const event =',
    replace: 'const event =',
  },
  {
    name: 'a renewal asks for neither owner nor fence',
    store: 'mariadb',
    file: 'stores/mysql/record-statements.js',
    find: "o.state = 'running' AND o.owner = j.owner AND o.fence = j.fence`",
    replace: "o.state = 'running'`",
    faults: ['pause-point', 'stop'],
  },
  {
    name: 'a record is read without its lock, decided, then written',
    store: 'mariadb',
    file: 'stores/mysql/record-statements.js',
    find: 'BY_DIGEST} FOR UPDATE`',
    replace: 'BY_DIGEST}`',
  },
  {
    name: 'a claim that finds a record is granted all the same',
    store: 'mariadb',
    file: 'stores/mysql/claim-calls.js',
    find: 'const all = affected === calls.length;',
    replace: 'const all = true;',
  },
  {
    name: 'a lost COMMIT is taken for a rollback',
    store: 'mariadb',
    file: 'drivers/mysql/user-transactions.js',
    find: 'const end = await parts.findOut?.(notes);',
    replace: 'throw mysqlFailure(error, driver.where);',
    faults: ['net-cut-commit', 'net-cut-on-reply'],
  },
]
