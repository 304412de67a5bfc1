/**
 * @typedef {{ name: string, reason: string, declared?: boolean }} Skip
 *   `declared`: the suite wrote the reason into the title.
 * @typedef {{ name: string, error: string }} Failure
 * @typedef {{ part: string, passed: number, failed: number, skips: readonly Skip[], failures?: readonly Failure[], ms: number,
 *   note?: string }} Row
 *   One line of the summary: a gate, the tests of a folder, a lane.
 */

/**
 * Turns what the reporter wrote into rows, one for each folder of tests.
 *
 * @param {{ tests: { file: string, state: string, name: string, note?: string, error?: string }[], errors: string[] }} results
 * @returns {Row[]}
 */
export function rowsOfTests({ tests, errors }) {
  /** @type {Map<string, { passed: number, failed: number, skips: Skip[], failures: Failure[] }>} */
  const parts = new Map()
  for (const { file, state, name, note, error = 'no error was told' } of tests) {
    const part = partOf(file)
    const row = parts.get(part) ?? { passed: 0, failed: 0, skips: [], failures: [] }
    parts.set(part, row)
    if (state === 'passed') row.passed++
    else if (state === 'skipped') row.skips.push(skipOf(file, name, note))
    else {
      row.failed++
      row.failures.push({ name: `${file}: ${name}`, error })
    }
  }
  const rows = [...parts].sort().map(([part, row]) => ({ part, ...row, ms: 0 }))
  if (errors.length > 0)
    rows.push({
      part: 'errors outside any test',
      passed: 0,
      failed: errors.length,
      skips: [],
      failures: errors.map((error) => ({ name: 'outside any test', error })),
      ms: 0,
    })
  return rows
}

/**
 * Suites that are bound to many backends write the reason into the title: `… [skipped: reason]`. It is told once, as the
 * reason.
 *
 * @param {string} file
 * @param {string} name
 * @param {string | undefined} note
 * @returns {Skip}
 */
function skipOf(file, name, note) {
  const [whole, before = name, inTitle, after = ''] =
    /^(.*?)\s*\[skipped: (.+?)\](?= > |$)(.*)$/s.exec(name) ?? []
  const reason = note || inTitle || 'no reason given'
  const title = whole === undefined ? name : before + after
  return { name: `${file}: ${title}`, reason, declared: inTitle !== undefined }
}

function partOf(/** @type {string} */ file) {
  const [first = '', second = '', third = '', fourth = ''] = file.split('/')
  if (first !== 'packages') return `tests ${first}/${second.includes('.') ? '' : second}`.replace(/\/$/, '')
  return `tests ${second}/${fourth.includes('.') || fourth === '' ? third : fourth}`.replace(
    /\/[^/]*\.test\.ts$/,
    '',
  )
}

/**
 * Reads the totals that `node --test --test-reporter=tap` prints. Totals that are missing mean that the run broke off.
 *
 * @param {string} tap
 * @returns {{ passed: number, failed: number, skipped: number } | undefined}
 */
export function totalsOfTap(tap) {
  const total = (/** @type {string} */ what) => {
    const found = new RegExp(`^# ${what} (\\d+)$`, 'm').exec(tap)?.[1]
    return found === undefined ? undefined : Number(found)
  }
  const [passed, failed, cancelled, skipped] = ['pass', 'fail', 'cancelled', 'skipped'].map(total)
  if (passed === undefined || failed === undefined || cancelled === undefined || skipped === undefined)
    return undefined
  return { passed, failed: failed + cancelled, skipped }
}

/** Reasons that speak of the machine, and not of what is tested. */
const MACHINE = /\b(?:not found|not installed|unavailable|missing|could not|cannot be had|no server)\b/i

/**
 * Tells whether a skip may stand where everything is required: its reason says which other lane runs it (`elsewhere: …`),
 * that it cannot apply (`not applicable: …`), or it is a case of a conformance suite that names the capability it lacks.
 *
 * @param {Skip} skip
 */
function mayStand({ reason, declared = false }) {
  return /^(?:elsewhere|not applicable): /.test(reason) || (declared && !MACHINE.test(reason))
}

/**
 * Sums up. Where everything is required, a skip is a failure unless it {@link mayStand}. No tests at all is a failure.
 *
 * @param {readonly Row[]} rows
 * @param {{ requireAll: boolean }} options
 */
export function sumUp(rows, { requireAll }) {
  const skips = rows.flatMap((row) => row.skips)
  const refused = requireAll ? skips.filter((skip) => !mayStand(skip)) : []
  const passed = rows.reduce((sum, row) => sum + row.passed, 0)
  const failed = rows.reduce((sum, row) => sum + row.failed, 0) + refused.length
  return { passed, failed, skips, refused, skipped: skips.length - refused.length }
}

/**
 * The last line of a run.
 *
 * @param {{ passed: number, failed: number, skipped: number }} sum
 */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/**
 * What is told after everything else, so that the end of a log is enough: skips that may stand by their number for each file
 * and reason, then each skip that counts as a failure, then each failure.
 *
 * @param {readonly Row[]} rows
 * @param {{ skips: readonly Skip[], refused: readonly Skip[] }} sum
 * @returns {string[]}
 */
export function remarks(rows, { skips, refused }) {
  /** @type {Map<string, number>} */
  const standing = new Map()
  for (const skip of skips.filter((one) => !refused.includes(one))) {
    const about = `${skip.declared ? skip.name.split(': ')[0] : skip.name} (${skip.reason})`
    standing.set(about, (standing.get(about) ?? 0) + 1)
  }
  return [
    ...[...standing].map(([about, count]) => `  skipped: ${count === 1 ? '' : `${count} × `}${about}`),
    ...refused.map(({ name, reason }) => `  not run, so failed: ${name} (${reason})`),
    ...rows
      .flatMap(({ failures = [] }) => failures)
      .map(({ name, error }) => `  failed: ${name}\n${indented(error)}`),
  ]
}

/** The most lines of one error: the whole of it stands above. */
const ERROR_LINES = 12

function indented(/** @type {string} */ error) {
  return error
    .split('\n')
    .slice(0, ERROR_LINES)
    .map((line) => `    ${line}`)
    .join('\n')
}

/**
 * @param {readonly Row[]} rows
 */
export function table(rows) {
  const width = Math.max(...rows.map((row) => row.part.length))
  return rows
    .map((row) => {
      const verdict = row.failed > 0 ? 'FAILED' : row.passed > 0 ? 'ok' : 'skipped'
      const counts = `${row.passed} passed, ${row.failed} failed${row.skips.length > 0 ? `, ${row.skips.length} skipped` : ''}`
      const time = row.ms > 0 ? `${(row.ms / 1000).toFixed(1)} s` : ''
      return `  ${row.part.padEnd(width)}  ${verdict.padEnd(8)}${counts.padEnd(34)}${time.padStart(8)}  ${row.note ?? ''}`.trimEnd()
    })
    .join('\n')
}
