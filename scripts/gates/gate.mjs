/**
 * What a gate is.
 *
 * @typedef {object} Verdict
 * @property {readonly string[]} problems One line each; none means passed.
 * @property {string} [note] A figure worth printing beside the name.
 * @property {string} [skipped] Why it could not run here. With `--require-all` that is a failure.
 *
 * @typedef {object} Gate
 * @property {string} name
 * @property {string} guards What would go wrong unseen without it.
 * @property {(root: string) => Promise<Verdict>} run Gets the root of the repository, or of a bad example that it must refuse.
 */

/**
 * Runs a gate. One that throws has failed.
 *
 * @param {Gate} gate
 * @param {string} root
 * @returns {Promise<Verdict & { ms: number }>}
 */
export async function judge(gate, root) {
  const started = performance.now()
  let verdict
  try {
    verdict = await gate.run(root)
    if (!Array.isArray(verdict?.problems)) verdict = { problems: ['the gate gave no verdict'] }
  } catch (error) {
    verdict = { problems: [`the gate itself failed: ${error instanceof Error ? error.stack : error}`] }
  }
  return { ...verdict, ms: Math.round(performance.now() - started) }
}

/**
 * Makes a verdict of a tool that ran.
 *
 * @param {import('../house/run.mjs').Ran} ran
 * @param {string} [note]
 * @returns {Verdict}
 */
export function verdictOf({ code, output }, note) {
  if (code === 0) return note === undefined ? { problems: [] } : { problems: [], note }
  return { problems: [output.trim() || `it ended with code ${code} and said nothing`] }
}
