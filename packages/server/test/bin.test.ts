import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'

const BIN = fileURLToPath(new URL('../bin/onceward.js', import.meta.url))

describe('the linked command', () => {
  const folders: string[] = []
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
  })

  /** What the file says when it is started as npm's link starts it: by its own shebang and permissions. */
  const started = (file: string): Promise<{ code: unknown; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      execFile(file, ['--version'], (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      )
    })

  it('runs the command that was built', async () => {
    expect(await started(BIN)).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' })
  })

  it('says in one line how to build it where it is not built', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'onceward-bin-'))
    folders.push(folder)
    await mkdir(join(folder, 'bin'))
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await copyFile(BIN, join(folder, 'bin', 'onceward.js'))
    expect(await started(join(folder, 'bin', 'onceward.js'))).toEqual({
      code: 1,
      stdout: '',
      stderr: 'onceward: is not built yet; run npm run build in the repository\n',
    })
  })
})
