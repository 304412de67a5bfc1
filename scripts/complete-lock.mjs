/**
 * Adds to package-lock.json the optional platform packages that npm has left out because the registry at hand does not
 * offer them. Without them `npm ci` calls the lock out of step with package.json. They are never fetched on another
 * platform than their own. Run it after every `npm install` that changes the lock.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const OS = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
  'aix',
]
const CPU = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32']

const file = process.argv[2] ?? 'package-lock.json'
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []
for (const [from, { optionalDependencies = {}, peerDependenciesMeta = {} }] of Object.entries(
  lock.packages,
)) {
  for (const [name, range] of Object.entries(optionalDependencies)) {
    if (peerDependenciesMeta[name] || isLocked(from, name)) continue
    const words = name.split('/').at(-1)?.split('-') ?? []
    const os = OS.filter((one) => words.includes(one))
    const cpu = CPU.filter((one) => words.includes(one))
    // Only what names a platform: anything else that is missing is for npm to complain about.
    const libc = words.includes('musl') ? ['musl'] : undefined
    if (os.length === 0 || !/^\d+\.\d+\.\d+/.test(range)) continue
    lock.packages[`node_modules/${name}`] = {
      version: range,
      ...(cpu.length ? { cpu } : {}),
      dev: true,
      ...(libc ? { libc } : {}),
      optional: true,
      os,
    }
    added.push(`${name}@${range}`)
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'The lock is complete.' : `Added ${added.length}: ${added.join(', ')}`)

function isLocked(from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (lock.packages[`${folder}${folder ? '/' : ''}node_modules/${name}`]) return true
    if (folder === '') return false
    if (!folder.includes('/node_modules/')) folder = ''
    if (lock.packages[`node_modules/${name}`]) return true
  }
}
