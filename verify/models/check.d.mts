/** Where Spin and a C compiler were found. */
export interface Tools {
  readonly spin: string
  readonly source: string
  readonly cc: { readonly command: string; readonly flags: readonly string[]; readonly source: string }
}

/** One variant of the model and what it must show. */
export interface Check {
  readonly name: string
  readonly macros: readonly string[]
  /** The assertion that must fail; without it none may. */
  readonly finds?: string
}

/** What an exhaustive check showed. */
export interface CheckVerdict {
  readonly name: string
  readonly good: boolean
  readonly states: number
  readonly tookMs: number
  /** The assertion that failed, if any. */
  readonly found?: string
}

/** All variants, the documented limits and the deliberate faults among them. */
export const CHECKS: readonly Check[]

/** Finds Spin and a C compiler: `TEST_SPIN`, the path, a private prefix made without root. */
export function findTools(environment?: NodeJS.ProcessEnv): Promise<Tools>

/** Checks one variant exhaustively. */
export function checkModel(tools: Tools, check: Check): Promise<CheckVerdict>
