import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

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

/** Compiles the fault trials. @throws `Error` with what the compiler says. */
export async function compileTrials(): Promise<void> {
  const { code, output } = await runBuilt(
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    '-p',
    'verify/faults',
  )
  if (code !== 0)
    throw new Error(`the fault trials do not compile; build the library first (tsc -b)\n${output}`)
}
