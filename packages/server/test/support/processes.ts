import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../bin/onceward.js', import.meta.url))

/** How long a test may take that starts processes: each takes half a second on a quiet machine, and many on a busy one. In ms. */
export const SLOW_MS = 120_000

/** What a command said and how it ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A running command. */
export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Everything it has logged so far. */
  stderr(): string
}

/** Starts the built command. */
export function onceward(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; uid?: number } = {},
): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env['PATH'] ?? '', USER: 'tester', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => {
    stdout += String(text)
  })
  child.stderr.on('data', (text) => {
    stderr += String(text)
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }) as Ended)
  return { child, ended, stderr: () => stderr }
}

/** A gateway in a process of its own. */
export interface GatewayProcess extends Running {
  readonly url: string
}

/** Starts a gateway process on free ports and waits until it listens. */
export async function gatewayProcess(
  args: readonly string[],
  options: { cwd?: string } = {},
): Promise<GatewayProcess> {
  const running = onceward(['gateway', '--port', '0', '--admin-port', '0', ...args], options)
  const url = await new Promise<string>((resolve, reject) => {
    let said = ''
    running.child.stdout?.on('data', (text) => {
      said += String(text)
      const found = /^onceward gateway listening on (http:\/\/\S+)\n/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    void running.ended.then((end) => reject(new Error(`the gateway ended with ${end.code}: ${end.stderr}`)))
  })
  return { ...running, url }
}

/** A folder of its own for each test, and what must not outlive it. */
export function workshop(): {
  folder(): Promise<string>
  end(child: Running): Running
  gateway(args: readonly string[]): Promise<GatewayProcess>
  after(step: () => unknown): void
  clear(): Promise<void>
} {
  const steps: (() => unknown)[] = []
  const end = <T extends Running>(running: T): T => {
    steps.push(async () => {
      if (running.child.exitCode === null && running.child.signalCode === null) running.child.kill('SIGKILL')
      await running.ended
    })
    return running
  }
  return {
    async folder() {
      const made = await mkdtemp(join(tmpdir(), 'onceward-server-'))
      steps.push(() => rm(made, { recursive: true, force: true }))
      return made
    },
    end,
    gateway: async (args) => end(await gatewayProcess(args)),
    after: (step) => void steps.push(step),
    async clear() {
      for (const step of steps.splice(0).reverse()) await step()
    },
  }
}
