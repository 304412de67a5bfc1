import { run } from '../../src/cli/program.ts'

/** What a command said and how it ended. */
export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command that ends by itself in this process: what is tested of it does not need one of its own. */
export async function command(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Said> {
  let stdout = ''
  let stderr = ''
  const code = await run(
    args,
    {
      environment: { USER: 'tester', ...options.env },
      folder: options.cwd ?? '/nonexistent',
      out: (text) => {
        stdout += text
      },
      err: (text) => {
        stderr += text
      },
    },
    { onStop: () => {}, exitNow: () => {} },
    '0.0.0',
  )
  return { code, stdout, stderr }
}
