import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from './house/paths.mjs'

describe('npm start', () => {
  it.each([[['--port', '9090']], [['--help']], [['gateway']]])(
    'refuses %j in one line that names the mend, and starts nothing',
    (args) => {
      const said = spawnSync(process.execPath, [join(ROOT, 'scripts', 'start.mjs'), ...args], {
        encoding: 'utf8',
      })
      expect([said.status, said.stdout]).toEqual([2, ''])
      expect(said.stderr).toMatch(/^npm start takes no arguments, not .*; choose ports by PORT=9080 .*\n$/)
      expect(said.stderr.split('\n')).toHaveLength(2)
    },
  )
})
