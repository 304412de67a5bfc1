import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lineWriter } from './line-writer.ts'

describe('a line writer', () => {
  let folder: string
  let fd: number
  const file = () => join(folder, 'log')
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'onceward-lines-'))
    fd = openSync(file(), 'a')
  })
  afterEach(() => {
    closeSync(fd)
    rmSync(folder, { recursive: true, force: true })
  })
  const written = () => readFileSync(file(), 'utf8')

  it('writes lines in their order, each once', async () => {
    const lines = Array.from({ length: 200 }, (_, n) => `line ${n}\n`)
    const writer = lineWriter(fd, 100_000)
    for (const line of lines) writer.write(line)
    await expect.poll(written).toBe(lines.join(''))
  })

  it('drops lines while more than its bound wait', async () => {
    const writer = lineWriter(fd, 10)
    // The first is on its way, the second waits, and the third is one too many.
    for (const line of ['1234567\n', 'abcdefg\n', 'dropped\n']) writer.write(line)
    await expect.poll(written).toBe('1234567\nabcdefg\n')
    writer.write('later\n')
    await expect.poll(written).toBe('1234567\nabcdefg\nlater\n')
  })

  it('brings what waits out at once when it is told to', async () => {
    const writer = lineWriter(fd, 1000)
    writer.write('a\n')
    writer.write('b\n')
    writer.flush()
    expect(written()).toContain('b\n')
    await expect.poll(() => written().length).toBe(4)
  })

  it('gives up on a descriptor that takes nothing any more', () => {
    const readOnly = openSync(file(), 'r')
    const writer = lineWriter(readOnly, 1000)
    writer.write('a\n')
    writer.write('b\n')
    writer.flush()
    closeSync(readOnly)
    expect(written()).toBe('')
  })
})
