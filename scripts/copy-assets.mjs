// Copies what the compiler leaves behind (such as .sql migrations) from packages/*/src to packages/*/dist.
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const packages = fileURLToPath(new URL('../packages', import.meta.url))

for (const name of readdirSync(packages)) {
  const source = join(packages, name, 'src')
  if (!existsSync(source)) continue
  for (const entry of readdirSync(source, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || /\.tsx?$/.test(entry.name)) continue
    const from = join(entry.parentPath ?? entry.path, entry.name)
    const to = join(packages, name, 'dist', from.slice(source.length + 1))
    mkdirSync(dirname(to), { recursive: true })
    cpSync(from, to)
  }
}
