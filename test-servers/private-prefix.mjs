/**
 * Programs from Debian's archive without installing anything: a private apt state downloads packages, whose signatures
 * are checked by apt as always, and `dpkg-deb` unpacks them into a folder of the user's cache. Needs no root.
 *
 * Limit: Debian and its kin only, with a reachable archive. Maintainer scripts do not run, so a program that needs
 * its user, its configuration or its data folder must be given them.
 */
import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import {
  access,
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { exclusively } from './exclusively.mjs'

const run = promisify(execFile)

/** Written last, so that a prefix that was left half made is never used. */
const COMPLETE = '.complete'

/** One apt call may take so long, in ms. */
const APT_TIMEOUT_MS = 300_000

/**
 * Answers a folder in which these packages are unpacked, creating it the first time.
 *
 * @param {readonly string[]} packages - Names of packages; what they depend on comes along.
 * @param {{ readonly complete?: boolean }} [options] - `complete` unpacks also what this machine has installed, for
 *   programs that look for their own libraries and headers inside the prefix. Default: only what is missing.
 * @returns {Promise<{ root: string, libraryPath: string }>} `libraryPath` is for `LD_LIBRARY_PATH`.
 * @throws `Error` in one line that tells what is missing.
 */
export async function privatePrefix(packages, options = {}) {
  for (const name of packages) {
    if (!/^[a-z0-9][a-z0-9+.-]+$/.test(name)) throw new TypeError(`"${name}" is not the name of a package`)
  }
  const cache = await cacheFolder()
  const root = rootOf(cache, packages, options.complete === true)
  if (!(await exists(join(root, COMPLETE)))) {
    await exclusively(`${basename(root)}.prefix`, { folder: cache }, async () => {
      if (!(await exists(join(root, COMPLETE))))
        await create(root, cache, packages, options.complete === true)
    })
  }
  return { root, libraryPath: (await libraryFolders(root)).join(delimiter) }
}

/** The folder of a prefix that has been made already, if it has. */
export async function prefixExists(packages, options = {}) {
  const root = rootOf(await cacheFolder(), packages, options.complete === true)
  return (await exists(join(root, COMPLETE))) ? root : undefined
}

function rootOf(cache, packages, complete) {
  return join(cache, 'prefixes', [...packages].sort().join('_') + (complete ? '_complete' : ''))
}

/** Finds a program: on the path, or nowhere. */
export async function onPath(name, path = process.env['PATH'] ?? '') {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name)
    if (folder !== '' && (await exists(file, constants.X_OK))) return file
  }
  return undefined
}

async function create(root, cache, packages, complete) {
  for (const tool of ['apt-get', 'dpkg-deb', 'dpkg-query']) {
    if (!(await onPath(tool)))
      throw new Error(`${tool} is not on this machine; install ${packages.join(', ')} by hand`)
  }
  const work = await mkdtemp(join(cache, 'apt-'))
  try {
    const apt = await privateApt(work)
    await apt('update')
    await apt('--download-only', '-y', '--no-install-recommends', 'install', ...packages)
    const installed = complete ? new Set() : await installedPackages()
    const archives = join(work, 'cache', 'archives')
    const unpacked = join(work, 'prefix')
    await mkdir(unpacked)
    // A server that refuses root is run as somebody else, who must be able to read it.
    await chmod(unpacked, 0o755)
    for (const file of (await readdir(archives)).filter((entry) => entry.endsWith('.deb'))) {
      if (!installed.has(basename(file).split('_')[0]))
        await run('dpkg-deb', ['-x', join(archives, file), unpacked])
    }
    await writeFile(join(unpacked, COMPLETE), `${packages.join(' ')}\n`)
    await mkdir(join(root, '..'), { recursive: true })
    // Somebody else may have been faster; theirs is as good.
    await rename(unpacked, root).catch(async (error) => {
      if (!(await exists(join(root, COMPLETE)))) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Sets up an apt with a state, a cache and an empty package list of its own, and the sources of this machine. */
async function privateApt(work) {
  const state = join(work, 'state')
  const cache = join(work, 'cache')
  const parts = join(work, 'sources.d')
  await Promise.all([
    mkdir(join(state, 'lists', 'partial'), { recursive: true }),
    mkdir(join(cache, 'archives', 'partial'), { recursive: true }),
    mkdir(parts),
  ])
  await writeFile(join(work, 'status'), '')
  await copySources(parts)
  const options = {
    'Dir::State': state,
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': cache,
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': parts,
    'Debug::NoLocking': '1',
    // As root apt would hand the download to a user who may not enter this folder.
    ...(process.getuid?.() === 0 ? { 'APT::Sandbox::User': 'root' } : {}),
  }
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return async (...parameters) => {
    try {
      await run('apt-get', [...flags, '-q', ...parameters], {
        timeout: APT_TIMEOUT_MS,
        maxBuffer: 64 * 1024 * 1024,
        env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      })
    } catch (error) {
      const lines = String(error.stderr ?? error.message).split('\n')
      const told = lines.find((line) => line.startsWith('E: ')) ?? lines[0]
      throw new Error(`apt-get ${parameters[0]} failed: ${told}`, { cause: error })
    }
  }
}

/** Takes over the archive's own sources; those of third parties only where there are no others. */
async function copySources(parts) {
  const found = []
  if (await exists('/etc/apt/sources.list')) found.push('/etc/apt/sources.list')
  const folder = '/etc/apt/sources.list.d'
  for (const file of await readdir(folder).catch(() => [])) {
    if (/\.(list|sources)$/.test(file)) found.push(join(folder, file))
  }
  const own = []
  for (const file of found) {
    const text = await readFile(file, 'utf8')
    if (/^\s*[^#\s]/m.test(text) && /debian\.org|ubuntu\.com|debian-archive-keyring|\/debian\b/.test(text))
      own.push(file)
  }
  const chosen = own.length > 0 ? own : found
  if (chosen.length === 0) throw new Error('this machine has no apt sources')
  for (const file of chosen) await copyFile(file, join(parts, basename(file)))
}

async function installedPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are for dpkg-query
  const { stdout } = await run('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Package}\n'])
  const lines = stdout.split('\n').filter((line) => line.startsWith('installed '))
  return new Set(lines.map((line) => line.slice('installed '.length)))
}

/** Every folder of the prefix that holds a shared library. */
async function libraryFolders(root) {
  const folders = []
  const visit = async (folder, depth) => {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
    if (entries.some((entry) => !entry.isDirectory() && /\.so(\.|$)/.test(entry.name))) folders.push(folder)
    if (depth === 0) return
    for (const entry of entries) if (entry.isDirectory()) await visit(join(folder, entry.name), depth - 1)
  }
  for (const top of ['lib', 'lib64', 'usr/lib', 'usr/lib64']) await visit(join(root, top), 4)
  return folders
}

async function cacheFolder() {
  const wanted =
    process.env['ONCEWARD_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? (await usualCache()), 'onceward')
  try {
    await mkdir(wanted, { recursive: true })
    await access(wanted, constants.W_OK)
    return wanted
  } catch {
    const spare = join(tmpdir(), `onceward-cache-${process.getuid?.() ?? 'user'}`)
    await mkdir(spare, { recursive: true, mode: 0o700 })
    // Its name can be guessed, and programs are run from it.
    const { uid, mode } = await stat(spare)
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0)
      throw new Error(`${spare} belongs to somebody else; set ONCEWARD_CACHE`)
    return spare
  }
}

/** Root's home is closed to the user as whom PostgreSQL is run; the system's cache is not. */
async function usualCache() {
  return process.getuid?.() === 0 && (await exists('/var/cache', constants.W_OK))
    ? '/var/cache'
    : join(homedir(), '.cache')
}

function exists(file, mode = constants.F_OK) {
  return access(file, mode).then(
    () => true,
    () => false,
  )
}
