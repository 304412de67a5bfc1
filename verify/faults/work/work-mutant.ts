import type { Mutant } from '../harness/mutants.ts'
import type { LaneName } from './work-plan.ts'

/** A fault put into a copy of the built library; the trials of a lane have to notice it. */
export type WorkMutant = Mutant & { readonly lane: LaneName }
