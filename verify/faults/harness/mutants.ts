import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { copyLibrary, DEFAULT_LIBRARY } from '../library.ts'
import { ROOT } from '../test-servers.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { Violation } from './statistics.ts'

/** A text of the built library that is there once, and what takes its place. */
export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A name, and the texts that are changed. */
export type Broken = { readonly name: string } & (Edit | { readonly edits: readonly [Edit, ...Edit[]] })

/** A fault put into a copy of the built library; the trials have to notice it. */
export type Mutant = Broken & {
  /** The store that shows it. */
  readonly store: string
  /** Only these faults happen, so that it shows sooner. Default: all of the store. */
  readonly faults?: readonly FaultKind[]
}

/** The texts that a mutant changes: more than one where the library guards itself twice. */
export function editsOf(mutant: Broken): readonly Edit[] {
  return 'edits' in mutant ? mutant.edits : [mutant]
}

/** Puts a mutant into a copy of the library. @throws `Error` where a text is not there in just one place. */
export async function breakLibrary(library: string, mutant: Broken): Promise<void> {
  for (const { file, find, replace } of editsOf(mutant)) {
    const path = join(library, file)
    const pieces = (await readFile(path, 'utf8')).split(find)
    if (pieces.length !== 2)
      throw new Error(`"${mutant.name}" fits ${file} in ${pieces.length - 1} places, not in one; renew it`)
    await writeFile(path, pieces.join(replace))
  }
}

/** One mutant, ready to be tried. */
export interface MutantTrial {
  /** A copy of the library that has the fault. */
  readonly library: string
  /** For histories. */
  readonly folder: string
  readonly from: number
  readonly trials: number
}

/** What came of the trials: how many there were, and those that broke a promise. */
export interface Noticed {
  readonly statistics: { readonly trials: number }
  readonly failures: readonly { readonly violations: readonly Violation[] }[]
}

/** What is tried, and how. */
export interface MutantCommand<M extends Mutant> {
  readonly usage: string
  readonly mutants: readonly M[]
  /** After so many trials without a broken promise a mutant lives. */
  readonly trials: number
  /** Stands before the name of a mutant. */
  titleOf(mutant: M): string
  /** Runs trials until a promise is broken; `missing` where the server cannot be had here. */
  attempt(mutant: M, trial: MutantTrial): Promise<Noticed | { readonly missing: string }>
}

/** Tries the mutants that the command line asks for, and tells each one's fate. Answers the exit code. */
export async function runMutants<M extends Mutant & { readonly lane?: string }>(
  command: MutantCommand<M>,
): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: String(command.trials) },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: '' },
      lane: { type: 'string', default: '' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  })
  const [trials = 0, from = 0] = [values.trials, values.seed].map(Number)
  if (values.help || !(trials >= 1) || !Number.isSafeInteger(from)) {
    console.log(command.usage)
    return values.help ? 0 : 2
  }
  const stores = values.store === '' ? undefined : values.store.split(',')
  const chosen = command.mutants.filter(
    ({ name, store, lane = '' }) =>
      name.includes(values.only) && lane.includes(values.lane) && (stores?.includes(store) ?? true),
  )
  const sound = await copyLibrary(join(ROOT, DEFAULT_LIBRARY), ROOT)
  let killed = 0
  let skipped = 0
  try {
    for (const mutant of chosen) {
      const fate = await tryMutant(command, mutant, { sound, trials, from })
      if (fate === 'skipped') skipped++
      else if (fate !== 'nobody noticed') killed++
      const how = { skipped: 'skipped', 'nobody noticed': 'LIVES' }[fate] ?? 'killed'
      console.log(`${how} ${command.titleOf(mutant)}: ${mutant.name}: ${fate}`)
    }
  } finally {
    await rm(sound, { recursive: true, force: true })
  }
  console.log(`${killed} of ${chosen.length - skipped} mutants killed`)
  return killed === chosen.length - skipped && killed > 0 ? 0 : 1
}

/** Answers the rules that were broken, and after how many trials. */
async function tryMutant<M extends Mutant>(
  { attempt }: MutantCommand<M>,
  mutant: M,
  { sound, trials, from }: { readonly sound: string; readonly trials: number; readonly from: number },
): Promise<string> {
  const library = await copyLibrary(sound, ROOT)
  const folder = await mkdtemp(join(tmpdir(), 'onceward-mutant-'))
  try {
    await breakLibrary(library, mutant)
    const tried = await attempt(mutant, { library, folder, from, trials })
    if ('missing' in tried) return 'skipped'
    const { statistics, failures } = tried
    const rules = new Set(failures[0]?.violations.map(({ rule }) => rule))
    return rules.size === 0 ? 'nobody noticed' : `${[...rules].join(', ')} (${statistics.trials} trials)`
  } finally {
    await rm(library, { recursive: true, force: true })
    await rm(folder, { recursive: true, force: true })
  }
}
