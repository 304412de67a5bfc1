import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** The built library: child processes run what users run. */
export const DIST: string = fileURLToPath(new URL('../../dist/', import.meta.url))

const SCRIPT = fileURLToPath(new URL('./child.mjs', import.meta.url))

/** One line that a child wrote, as JSON. */
export type Report = Readonly<Record<string, unknown>>

export interface ChildOptions {
  readonly uid?: number
  /** Where the built library is. */
  readonly dist?: string
  /** Pretends that this Node.js has no SQLite of its own. */
  readonly hideBuiltIn?: boolean
}

/** A running child. It is ended with the test, whatever happens. */
export interface Child {
  readonly process: ChildProcess
  /** The next line; rejects when the child has ended without one. */
  next(): Promise<Report>
  /** Every further line until the child ends. */
  rest(): Promise<readonly Report[]>
  /** Tells the child to go on. */
  go(): void
}

/** Starts `child.mjs` with the name of a task. */
export function startChild(task: string, args: readonly string[], options: ChildOptions = {}): Child {
  if (!existsSync(DIST)) throw new Error('packages/onceward is not built: run npm run build')
  const child = spawn(process.execPath, ['--no-warnings', SCRIPT, task, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ONCEWARD_DIST: options.dist ?? new URL('../../dist/', import.meta.url).href,
      ...(options.hideBuiltIn ? { HIDE_BUILT_IN: '1' } : {}),
    },
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    process: child,
    async next() {
      const line = await lines.next()
      if (line.done) throw new Error(`the child "${task}" ended without a further line`)
      return JSON.parse(line.value) as Report
    },
    async rest() {
      const reports: Report[] = []
      for (let line = await lines.next(); !line.done; line = await lines.next()) {
        // The last line of a killed child may be cut.
        if (line.value.endsWith('}')) reports.push(JSON.parse(line.value) as Report)
      }
      return reports
    },
    go: () => void child.stdin.write('go\n'),
  }
}

/** Runs a task that writes one line. */
export async function runChild(
  task: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Report> {
  const child = startChild(task, args, options)
  child.go()
  return child.next()
}
