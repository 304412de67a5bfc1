import { PROCESS_FAULTS } from '../harness/trial-faults.ts'
import { DEDUPE_MUTANTS } from './dedupe-mutants.ts'
import { GUARD_MUTANTS } from './guard-mutants.ts'
import type { WorkMutant } from './work-mutant.ts'

const STOPS = PROCESS_FAULTS

const TOKENS = 'tokens/create-tokens.js'
const TASK_SQL = 'drivers/pg/migrations/0003-tasks.sql'
const TASK_WORK = 'tasks/work-statements.js'
const PICKED = 'const picked = yield* ask(claims.pick, [...topics, window, limit]);'

/** Faults in tokens, tasks, inbox, outbox, dedupe and SQL guards. */
export const WORK_MUTANTS: readonly WorkMutant[] = [
  {
    name: 'a token is claimed without a look whether it was',
    lane: 'tokens',
    store: 'sqlite',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the library
    edits: [{ file: TOKENS, find: '`token ${digest}`', replace: '`token ${digest} ${Math.random()}`' }],
    faults: STOPS,
  },
  {
    name: 'a consumed token can be redeemed',
    lane: 'tokens',
    store: 'redis',
    edits: [
      {
        file: TOKENS,
        find: "const CONSUMED = [0n, 'onceward: a one-time token is consumed'];",
        replace: "const CONSUMED = 'onceward: a one-time token is redeemed';",
      },
    ],
  },
  {
    name: 'who finds a token consumed has it too',
    lane: 'tokens',
    store: 'sqlite',
    edits: [
      {
        file: TOKENS,
        find: "reply.outcome === 'executed' ? consumed",
        replace: "'value' in reply ? consumed",
      },
    ],
    faults: STOPS,
  },
  {
    name: 'a redeem that has lapsed is run again though it holds',
    lane: 'tokens',
    store: 'sqlite',
    edits: [{ file: TOKENS, find: '{ ...call, input }', replace: "{ ...call, input, onCrash: 'rerun' }" }],
    faults: STOPS,
  },
  {
    name: 'anybody ends a running task on PostgreSQL',
    lane: 'tasks',
    store: 'postgres',
    edits: [
      {
        file: TASK_SQL,
        find: 'o.state = running AND o.owner = j.owner AND o.attempt = j.attempt\n      AND (j.history',
        replace: 'o.state = running\n      AND (j.history',
      },
    ],
    faults: STOPS,
  },
  {
    name: 'anybody ends a running task on SQLite',
    lane: 'tasks',
    store: 'sqlite',
    edits: [
      {
        file: TASK_WORK,
        find: "`o.state = 'running' AND o.owner = j.owner AND o.attempt = j.attempt`",
        replace: "`o.state = 'running'`",
      },
    ],
    faults: STOPS,
  },
  {
    name: 'an attempt ends what has lapsed',
    lane: 'tasks',
    store: 'sqlite',
    edits: [
      {
        file: TASK_WORK,
        find: "`o.state = 'running' AND o.owner = j.owner AND o.attempt = j.attempt`",
        replace: '`o.owner = j.owner AND o.attempt = j.attempt`',
      },
    ],
    faults: STOPS,
  },
  {
    name: 'running tasks are claimed on PostgreSQL',
    lane: 'tasks',
    store: 'postgres',
    edits: [
      {
        file: TASK_SQL,
        find: "WHERE t.state = 'pending' AND t.action_type",
        replace: "WHERE t.state IN ('pending', 'running') AND t.action_type",
      },
      {
        file: TASK_SQL,
        find: "WHERE o.id = picked.id AND o.state = 'pending'",
        replace: 'WHERE o.id = picked.id',
      },
    ],
    faults: STOPS,
  },
  {
    name: 'tasks are claimed whatever their state is on SQLite',
    lane: 'tasks',
    store: 'sqlite',
    edits: [
      {
        file: TASK_WORK,
        find: "WHERE o.state = 'pending' AND o.action_type",
        replace: "WHERE o.state IN ('pending', 'running') AND o.action_type",
      },
    ],
    faults: STOPS,
  },
  {
    name: 'a lapsed task is rerun though it holds',
    lane: 'tasks',
    store: 'sqlite',
    edits: [
      {
        file: 'tasks/task-transitions.js',
        find: "if (record.onCrash === 'hold')",
        replace: 'if (false)',
      },
    ],
    faults: STOPS,
  },
  {
    name: 'tasks lapse before their leases are over',
    lane: 'tasks',
    store: 'mysql',
    edits: [
      {
        file: TASK_WORK,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the library
        find: 'AS o WHERE ${RUNNING} AND o.lease_until <= ${now}',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the library
        replace: 'AS o WHERE ${RUNNING} AND o.lease_until <= 250 + ${now}',
      },
    ],
    faults: STOPS,
  },
  {
    name: 'all attempts have the same fence',
    lane: 'tasks',
    store: 'postgres',
    edits: [{ file: TASK_SQL, find: 'fence = greatest(o.fence + 1, us)', replace: 'fence = 1' }],
    faults: STOPS,
  },
  {
    name: 'a task of a transaction is created outside of it',
    lane: 'tasks',
    store: 'postgres',
    edits: [
      {
        file: 'tasks/create-tasks.js',
        find: 'database.within(options.tx, ',
        replace: 'database.transaction(',
      },
    ],
    faults: STOPS,
  },
  {
    name: 'the inbox looks, and then inserts',
    lane: 'messages',
    store: 'postgres',
    edits: [
      {
        file: 'inbox/taking.js',
        find: 'const { affected } = yield* send(calls.take(id));\n    if (affected === 0)',
        replace: `const { rows } = yield* ask({ text: 'SELECT 1::text AS found FROM onceward_inbox WHERE message_id = $1::text', columns: ['found'] }, [id]);
    yield* send(calls.take(id));
    if (rows.length > 0)`,
      },
    ],
  },
  {
    name: 'the inbox takes many that it has had',
    lane: 'messages',
    store: 'postgres',
    edits: [
      {
        file: 'inbox/taking.js',
        find: 'if (!calls.taken)\n        return idsOf(rows);',
        replace: 'if (!calls.taken)\n        return new Set(ids);',
      },
    ],
  },
  {
    name: 'the inbox remembers in a transaction of its own',
    lane: 'messages',
    store: 'postgres',
    edits: [
      {
        file: 'inbox/create-inbox.js',
        find: 'tx.run(() => takeOne(taking, id))',
        replace: 'database.transaction(() => takeOne(taking, id))',
      },
    ],
  },
  {
    name: 'the word of a relay counts for events that are another’s',
    lane: 'messages',
    store: 'sqlite',
    edits: [
      {
        file: 'outbox/settle-statements.js',
        find: "`o.owner = j.owner AND o.attempts = j.attempt AND o.state = 'leased'`",
        replace: "`o.state = 'leased'`",
      },
      { file: 'outbox/settler.js', find: '!lease.isLost()', replace: 'true' },
      { file: 'outbox/relay-leases.js', find: 'lease.onLost?.(', replace: 'void (' },
    ],
    faults: STOPS,
  },
  {
    name: 'a relay passes by what is committed late',
    lane: 'messages',
    store: 'postgres',
    edits: [
      {
        file: 'outbox/relay-calls.js',
        find: PICKED,
        replace: `${PICKED}
                const passed = globalThis.passed ?? 0;
                picked.rows = picked.rows.filter((row) => Number(row.seq) > passed);
                globalThis.passed = Math.max(passed, ...picked.rows.map((row) => Number(row.seq)));`,
      },
    ],
  },
  {
    name: 'relays claim at the same time',
    lane: 'messages',
    store: 'postgres',
    edits: [{ file: 'outbox/relay-calls.js', find: 'if (claims.gate)', replace: 'if (false)' }],
  },
  {
    name: 'an event is added outside of its transaction',
    lane: 'messages',
    store: 'postgres',
    edits: [
      {
        file: 'outbox/create-outbox.js',
        find: 'database.within(tx, function* () {',
        replace: 'database.transaction(function* () {',
      },
    ],
  },
  ...DEDUPE_MUTANTS,
  ...GUARD_MUTANTS,
]
