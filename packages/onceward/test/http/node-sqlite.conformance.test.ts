import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, it } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { startNode } from './node-binding.ts'

describe('plain node:http over SQLite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-http-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  let files = 0
  const start = startNode(() => sqliteStore(join(folder, `${files++}.sqlite`), { synchronous: 'normal' }))
  registerCases(it, httpConformance(start))
})
