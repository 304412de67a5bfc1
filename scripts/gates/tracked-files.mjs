/** Gate: no tracked file tells of the machine it was written on, or of a private registry. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow } from '../house/paths.mjs'
import { run } from '../house/run.mjs'

/** Put together here, so that this file does not hold what it looks for. */
const FORBIDDEN = [
  {
    what: 'a path of one machine',
    pattern: new RegExp(`(?<![\\w.:/-])/(?:${['work', 'root', 'Users', 'home'].join('|')})/[a-z][\\w.-]*`),
  },
  {
    what: 'a path of one machine',
    pattern: new RegExp(`/tmp/(?:${['bash_jobs', 'briefs', 'claude'].join('|')})`),
  },
  { what: 'where a package was fetched', pattern: new RegExp(`"${'resolved'}": "https?:`) },
  { what: 'a registry', pattern: new RegExp(`${['_auth', 'Token'].join('')}|^${'registry'}\\s*=`, 'm') },
]

const TEXT =
  /\.(?:ts|tsx|js|mjs|cjs|json|md|txt|sql|html|css|svg|yml|yaml|toml|sh|pml)$|(?:^|\/)(?:LICENSE|run|\.[a-z]+)$/

/** @type {import('./gate.mjs').Gate} */
export const trackedFiles = {
  name: 'tracked files',
  guards: 'no path of a machine and no registry in what we publish',
  async run(root) {
    const problems = []
    const files = await listFiles(root)
    if (files.length === 0) return { problems: ['no files were found'] }
    for (const file of files.filter((name) => TEXT.test(name))) {
      const lines = readFileSync(join(root, file), 'utf8').split('\n')
      for (const [index, line] of lines.entries()) {
        const found = FORBIDDEN.find(({ pattern }) => pattern.test(line))
        if (found) problems.push(`${file}:${index + 1} holds ${found.what}: ${line.trim().slice(0, 120)}`)
      }
    }
    return { problems, note: `${files.length} files` }
  },
}

/** Tracked and about to be tracked; everything, where there is no git. */
async function listFiles(/** @type {string} */ root) {
  const { code, output } = await run(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '-z'],
    { cwd: root },
  )
  if (code !== 0) return filesBelow(root)
  const deleted = await run('git', ['ls-files', '--deleted', '-z'], { cwd: root })
  const gone = new Set(deleted.output.split('\0'))
  return output.split('\0').filter((file) => file !== '' && !gone.has(file))
}
