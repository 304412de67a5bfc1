/** The package stands alone: it is loaded from a folder where nothing else is installed. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))
const { exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'))

const folder = mkdtempSync(join(tmpdir(), 'onceward-alone-'))
before(() => {
  cpSync(join(PACKAGE, 'dist'), join(folder, 'dist'), { recursive: true })
  cpSync(join(PACKAGE, 'package.json'), join(folder, 'package.json'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

const load = (subpath) => import(pathToFileURL(join(folder, exports[subpath].default)))

test('every subpath loads without a driver, a framework or any other package', async () => {
  for (const [subpath, target] of Object.entries(exports)) {
    if (typeof target === 'string') continue
    assert.ok(Object.keys(await load(subpath)).length > 0, `${subpath} exports nothing`)
  }
})

const builtIn =
  process.getBuiltinModule?.('node:sqlite') && 'elsewhere: on Node 20, which has no SQLite built in'
test('a missing driver of SQLite is told as what somebody has to mend', { skip: builtIn }, async () => {
  const { sqliteStore } = await load('./sqlite')
  const path = join(folder, 'store.sqlite')
  assert.throws(() => sqliteStore(path), {
    code: 'STORE_MISCONFIGURED',
    retryable: false,
    effect: 'none',
    message: /npm install @photostructure\/sqlite/,
  })
  assert.equal(existsSync(path), false)
})
