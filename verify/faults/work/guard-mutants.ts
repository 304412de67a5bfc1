import { PROCESS_FAULTS } from '../harness/trial-faults.ts'
import type { WorkMutant } from './work-mutant.ts'

/** Faults in SQL guards. */
export const GUARD_MUTANTS: readonly WorkMutant[] = [
  {
    name: 'a transition moves a row whatever its state is',
    lane: 'guards',
    store: 'postgres',
    edits: [
      {
        file: 'sql/transition.js',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the library
        find: " AND ${state} IN (${from.map((one) => list.add(one)).join(', ')})`",
        replace: '`',
      },
    ],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'a transition does not look how many rows were changed',
    lane: 'guards',
    store: 'sqlite',
    edits: [{ file: 'sql/transition.js', find: 'if (affected === 1)', replace: 'if (affected >= 0)' }],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'an update does not look at the version',
    lane: 'guards',
    store: 'mysql',
    edits: [
      {
        file: 'sql/update-versioned.js',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the library
        find: ' AND ${version} = ${list.add(expected)}`',
        replace: '`',
      },
    ],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'a row is read without a lock',
    lane: 'guards',
    store: 'postgres',
    edits: [{ file: 'sql/with-row.js', find: "' FOR UPDATE OF onceward_row'", replace: "''" }],
    faults: PROCESS_FAULTS,
  },
  {
    name: 'a row that is there counts as inserted',
    lane: 'guards',
    store: 'mysql',
    edits: [
      {
        file: 'sql/insert-once.js',
        find: 'won: Number(insertId ?? (yield* lastInsertId())) !== mark',
        replace: 'won: Number(insertId ?? (yield* lastInsertId())) >= 0',
      },
    ],
    faults: PROCESS_FAULTS,
  },
]
