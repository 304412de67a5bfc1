/** The package stands alone: it is loaded from a folder where nothing else is installed. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))
const { exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'))

test('every subpath loads without a driver, a framework or any other package', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-alone-'))
  try {
    cpSync(join(PACKAGE, 'dist'), join(folder, 'dist'), { recursive: true })
    cpSync(join(PACKAGE, 'package.json'), join(folder, 'package.json'))
    for (const [subpath, target] of Object.entries(exports)) {
      if (typeof target === 'string') continue
      const loaded = await import(pathToFileURL(join(folder, target.default)))
      assert.ok(Object.keys(loaded).length > 0, `${subpath} exports nothing`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
