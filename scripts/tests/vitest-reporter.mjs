import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { ROOT } from '../house/paths.mjs'

/**
 * Writes down what became of every test, for `scripts/test.mjs`: vitest's own JSON leaves out why a test was skipped
 * and which errors belonged to no test. The file named by ONCEWARD_TEST_RESULTS is written once, at the end, so that
 * a run that crashed leaves none.
 */
export default class ResultsReporter {
  /**
   * @param {ReadonlyArray<import('vitest/node').TestModule>} modules
   * @param {ReadonlyArray<{ message?: string, stack?: string }>} unhandled
   * @param {string} reason
   */
  onTestRunEnd(modules, unhandled, reason) {
    const file = process.env.ONCEWARD_TEST_RESULTS
    if (file === undefined) throw new TypeError('set ONCEWARD_TEST_RESULTS to the file for the results')
    writeFileSync(
      file,
      JSON.stringify({ reason, tests: modules.flatMap(testsOf), errors: errorsOf(modules, unhandled) }),
    )
  }
}

function testsOf(/** @type {import('vitest/node').TestModule} */ module) {
  const file = relative(ROOT, module.moduleId)
  return [...module.children.allTests()].map((test) => {
    const result = test.result()
    return {
      file,
      name: test.fullName,
      state: result.state,
      note: 'note' in result ? result.note : undefined,
      error: result.errors?.map((error) => error.message).join('\n'),
    }
  })
}

/** Errors that belong to no test: a file that could not be loaded, a hook around a suite, a promise nobody awaited. */
function errorsOf(
  /** @type {ReadonlyArray<import('vitest/node').TestModule>} */ modules,
  /** @type {ReadonlyArray<{ message?: string, stack?: string }>} */ unhandled,
) {
  const found = unhandled.map((error) => `unhandled: ${error.stack ?? error.message}`)
  for (const module of modules) {
    const file = relative(ROOT, module.moduleId)
    for (const error of module.errors()) found.push(`${file}: ${error.message}`)
    for (const suite of module.children.allSuites()) {
      for (const error of suite.errors()) found.push(`${file}, ${suite.fullName}: ${error.message}`)
    }
    if (module.state() === 'pending' || module.state() === 'queued') found.push(`${file} was never run`)
  }
  return found
}
