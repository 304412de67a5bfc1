import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import { describeWhere } from '../../../test-servers/index.mjs'
import { respFrames } from './resp-frames.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

function run(...parameters: string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, parameters, { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` })
    })
  })
}

it('the proxy takes requests and replies apart, however they are cut', () => {
  const whole = [
    '*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n',
    ':1\r\n',
    '*-1\r\n',
    '$-1\r\n',
    '%1\r\n+a\r\n*2\r\n:1\r\n_\r\n',
    '>2\r\n+x\r\n+y\r\n',
    '|1\r\n+k\r\n+v\r\n$0\r\n\r\n',
    '*0\r\n',
  ]
  const bytes = Buffer.from(whole.join(''))
  for (let size = 1; size <= bytes.length; size++) {
    const frames = respFrames()
    const found: string[] = []
    for (let from = 0; from < bytes.length; from += size)
      found.push(...frames.push(bytes.subarray(from, from + size)).map(String))
    expect(found).toEqual(whole)
  }
})

await describeWhere('redis', 'the Redis client that retries safely, under faults', () => {
  beforeAll(async () => {
    const { code, output } = await run(join(root, 'node_modules/typescript/bin/tsc'), '-p', 'verify/faults')
    if (code !== 0)
      throw new Error(`the fault trials do not compile; build the library first (tsc -b)\n${output}`)
  }, 120_000)

  for (const topology of ['standalone', 'cluster']) {
    it(`has each operation take effect once, and the bare client does not (${topology})`, async () => {
      const { code, output } = await run(
        'verify/faults/dist/faults/redis-retry/run-redis-retry.js',
        ...['--operations', '500', '--topology', topology],
      )
      expect(code, output).toBe(0)
      expect(output.match(/500 operations, 500 acknowledged, 0 violations/g)).toHaveLength(2)
      expect(output.match(/executed, [1-9]\d* too many/g)).toHaveLength(2)
    }, 180_000)
  }
})
