import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from '../test-servers.ts'

/** A clock of one server that can be set: a library that is loaded before its program, and nothing of the machine. */
export interface ClockShim {
  /** For the process of the server. */
  readonly env: Readonly<Record<string, string>>
  /** Sets its clock forward or back; another jump replaces the one before. */
  jump(): Promise<void>
  close(): Promise<void>
}

/** One after the other, in seconds against the clock of the machine. What is held when a clock is set back is held for so much longer. */
const JUMPS = ['+4', '+1', '+2', '-1', '+0']

/** Makes one of libfaketime; nothing where it cannot be had. Redis cannot start with it: its allocator asks for the time. */
export async function clockShim(): Promise<ClockShim | undefined> {
  const file = await findLibrary()
  if (file === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'onceward-clock-'))
  const setting = join(folder, 'offset')
  await writeFile(setting, '+0\n')
  // The server may run as another user.
  await chmod(folder, 0o755)
  let jumps = 0
  return {
    env: {
      LD_PRELOAD: file,
      FAKETIME_TIMESTAMP_FILE: setting,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    async jump() {
      await writeFile(setting, `${JUMPS[jumps++ % JUMPS.length]}\n`)
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

async function findLibrary(): Promise<string | undefined> {
  const { privatePrefix } = (await import(
    pathToFileURL(join(ROOT, 'test-servers/private-prefix.mjs')).href
  )) as typeof import('../../../test-servers/private-prefix.d.mts')
  const prefix = await privatePrefix(['libfaketime']).catch(() => undefined)
  if (prefix === undefined) return undefined
  const folders = join(prefix.root, 'usr', 'lib')
  for (const machine of await readdir(folders)) {
    const file = join(folders, machine, 'faketime', 'libfaketimeMT.so.1')
    if (existsSync(file)) return file
  }
  return undefined
}
