import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exclusively } from './exclusive.mjs'
import { ROOT } from './paths.mjs'
import { runNpm } from './run.mjs'

/** Installs the locked dependencies where they are missing or others. Does nothing, quickly, where they are there. */
export async function ensureInstalled() {
  refuseOldNode()
  if (isInstalled(ROOT)) return
  await exclusively(
    'install',
    async () => {
      if (isInstalled(ROOT)) return
      console.log('Installing the locked dependencies (npm ci)…')
      const { code, output } = await runNpm(['ci', '--no-audit', '--no-fund'])
      if (code !== 0) throw new Error(`npm ci failed. Is the registry reachable?\n${output}`)
      if (!isInstalled(ROOT))
        throw new Error('npm ci ended well, yet packages of package-lock.json are missing')
    },
    { onWait: (pid) => console.log(`Waiting for process ${pid}, which installs the dependencies…`) },
  )
}

/**
 * Tells whether `node_modules` holds what the lockfile asks for, by npm's own note of what it installed.
 * Packages for other machines (optional ones) may be absent.
 *
 * @param {string} root
 */
export function isInstalled(root) {
  const note = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(note)) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const installed = JSON.parse(readFileSync(note, 'utf8')).packages
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.includes('node_modules/') || entry.optional || entry.peer) return true
    const found = installed[path]
    return found !== undefined && found.version === entry.version && found.link === entry.link
  })
}

function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new Error(`Onceward needs Node 20.19 or newer; this is ${process.versions.node}`)
}
