/**
 * Runs a script's work and turns what it throws into one plain message and exit code 1.
 *
 * @param {() => Promise<number | void>} work Answers the exit code; nothing means 0.
 */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
