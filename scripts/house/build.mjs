import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exclusively } from './exclusive.mjs'
import { CACHE, filesBelow, ROOT } from './paths.mjs'
import { runNode, runTool } from './run.mjs'

const PACKAGES = ['onceward', 'server']
const STAMP = join(CACHE, 'build.stamp')

/**
 * Builds both packages where their sources have changed since the last build.
 *
 * @param {{ force?: boolean }} [options]
 * @returns {Promise<void>} Rejects with what the compiler said.
 */
export async function ensureBuilt({ force = false } = {}) {
  if (!force && isBuilt()) return
  await exclusively(
    'build',
    async () => {
      const hash = sourceHash()
      if (!force && isBuilt(hash)) return
      console.log('Building…')
      rmSync(STAMP, { force: true })
      // Needs an installed parser, so it is loaded only now.
      const { importProblems } = await import('../gates/imports.mjs')
      const wrong = importProblems(ROOT)
      if (wrong.length > 0) throw new Error(`Imports in a direction the design forbids:\n${wrong.join('\n')}`)
      const compiled = await runTool('tsc', ['-b'])
      if (compiled.code !== 0) throw new Error(`The compiler refused the sources:\n${compiled.output}`)
      const copied = await runNode(join(ROOT, 'scripts', 'copy-assets.mjs'), [])
      if (copied.code !== 0) throw new Error(`The assets could not be copied:\n${copied.output}`)
      removeOrphans()
      mkdirSync(CACHE, { recursive: true })
      writeFileSync(STAMP, hash)
    },
    { onWait: (pid) => console.log(`Waiting for process ${pid}, which builds…`) },
  )
}

function isBuilt(hash = sourceHash()) {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== hash) return false
  return PACKAGES.every((name) => missingOutputs(name).length === 0)
}

/** A digest of everything the build depends on. */
function sourceHash() {
  const hash = createHash('sha256')
  const files = ['package-lock.json', 'tsconfig.json', 'tsconfig.base.json', 'scripts/copy-assets.mjs']
  for (const name of PACKAGES) {
    const folder = `packages/${name}`
    files.push(`${folder}/package.json`, `${folder}/tsconfig.json`)
    files.push(...filesBelow(join(ROOT, folder, 'src'), { base: ROOT }).filter((file) => !isTest(file)))
  }
  for (const file of files) {
    if (!existsSync(join(ROOT, file))) continue
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(ROOT, file)))
      .update('\0')
  }
  return hash.digest('hex')
}

function missingOutputs(/** @type {string} */ name) {
  const folder = join(ROOT, 'packages', name)
  return filesBelow(join(folder, 'src'))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !isTest(file))
    .filter((file) => !existsSync(join(folder, 'dist', file.replace(/\.ts$/, '.js'))))
}

/** What was compiled from a source that is gone would still be found, packed and published. */
function removeOrphans() {
  for (const name of PACKAGES) {
    const folder = join(ROOT, 'packages', name)
    for (const file of filesBelow(join(folder, 'dist'))) {
      const stem = /^(.*)\.(?:js|d\.ts)(?:\.map)?$/.exec(file)?.[1]
      // The console is built by its own package and has no source here.
      if (stem === undefined || file.startsWith('console/')) continue
      if (existsSync(join(folder, 'src', `${stem}.ts`)) && !isTest(`${stem}.ts`)) continue
      rmSync(join(folder, 'dist', file), { force: true })
    }
  }
}

function isTest(/** @type {string} */ file) {
  return /\.test(?:-d)?\.ts$/.test(file)
}
