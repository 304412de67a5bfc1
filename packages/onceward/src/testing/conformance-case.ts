/** One rule that an implementation must keep, as something that can be run. It belongs to no test runner. */
export interface ConformanceCase {
  /** The rule, as a sentence. */
  readonly name: string
  /** Why it is not asked of this implementation; absent when it is. */
  readonly skip?: string
  /** How long it may take, in ms, where that is more than a few seconds. */
  readonly timeoutMs?: number
  /** Resolves when the rule is kept; rejects with an `AssertionError` when it is broken. */
  run(): Promise<void>
}

/** The part of a test runner that {@link registerCases} needs: `it` of vitest, `test` of `node:test`. */
export interface RegisterTest {
  (name: string, run: () => Promise<void>, timeoutMs?: number): unknown
  skip(name: string, run: () => Promise<void>): unknown
}

/** Makes a test of each case. A skipped one is registered as skipped, with its reason in the name. */
export function registerCases(test: RegisterTest, cases: readonly ConformanceCase[]): void {
  for (const { name, skip, timeoutMs, run } of cases) {
    if (skip !== undefined) test.skip(`${name} [skipped: ${skip}]`, run)
    else if (timeoutMs === undefined) test(name, run)
    else test(name, run, timeoutMs)
  }
}

/** What became of one case. */
export type CaseResult =
  | { readonly name: string; readonly state: 'passed' }
  | { readonly name: string; readonly state: 'skipped'; readonly reason: string }
  | { readonly name: string; readonly state: 'failed'; readonly error: unknown }

/** Runs the cases one after the other without a test runner, and tells what became of each. It never rejects. */
export async function runCases(cases: readonly ConformanceCase[]): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = []
  for (const { name, skip, run } of cases) {
    if (skip !== undefined) {
      results.push({ name, state: 'skipped', reason: skip })
      continue
    }
    try {
      await run()
      results.push({ name, state: 'passed' })
    } catch (error) {
      results.push({ name, state: 'failed', error })
    }
  }
  return results
}

/**
 * Applies a harness's own skips to its cases.
 *
 * @throws `TypeError` for a skip that names no case: it would hide a renamed rule.
 */
export function withSkips(
  cases: readonly ConformanceCase[],
  skips: Readonly<Record<string, string>> = {},
): readonly ConformanceCase[] {
  for (const name of Object.keys(skips)) {
    if (!cases.some((one) => one.name === name)) throw new TypeError(`there is no case "${name}" to skip`)
  }
  return cases.map((one) => {
    const reason = Object.hasOwn(skips, one.name) ? skips[one.name] : undefined
    return reason === undefined ? one : { ...one, skip: reason }
  })
}
