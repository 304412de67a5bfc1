import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exclusively } from '../../../test-servers/exclusively.mjs'

/** The repository's root: tests run this file as it is written. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** What a program has said and how it ended. */
export interface Ran {
  readonly code: number
  readonly output: string
}

/** Runs a program of the repository and tells how it ended; the trials run compiled, because their workers do. */
export function runBuilt(...parameters: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 }
    execFile(process.execPath, parameters, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` })
    })
  })
}

/**
 * Compiles the fault trials. Several tests do so, each in its own process: one after the other, because the second writes
 * nothing any more, where both at once would write files that the workers of the first are reading.
 *
 * @throws `Error` with what the compiler says.
 */
export async function compileTrials(): Promise<void> {
  const folder = join(ROOT, 'verify/faults/dist')
  await mkdir(folder, { recursive: true })
  const { code, output } = await exclusively('compile', { folder }, () =>
    runBuilt(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'verify/faults'),
  )
  if (code !== 0)
    throw new Error(`the fault trials do not compile; build the library first (tsc -b)\n${output}`)
}
