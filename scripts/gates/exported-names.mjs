/**
 * Gate: the exported names of every subpath are those of `packages/onceward/exported-names.txt`.
 * `npm run exports` writes the list anew; the change is then seen in review.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript-6'

/** Where the list is kept. */
export const LIST = 'packages/onceward/exported-names.txt'

/** @type {import('./gate.mjs').Gate} */
export const exportedNames = {
  name: 'exported names',
  guards: `no name of the public contract comes or goes unseen (${LIST})`,
  async run(root) {
    const now = await listExportedNames(root)
    const kept = existsSync(join(root, LIST)) ? readFileSync(join(root, LIST), 'utf8') : ''
    const [nowLines, keptLines] = [now.split('\n'), kept.split('\n')]
    const problems = [
      ...nowLines.filter((line) => !keptLines.includes(line)).map((line) => `new or changed: ${line}`),
      ...keptLines.filter((line) => !nowLines.includes(line)).map((line) => `gone: ${line}`),
    ]
    if (problems.length > 0) problems.push('If it is meant: npm run exports')
    return { problems, note: `${nowLines.length - 1} names` }
  },
}

/**
 * One line for each name: subpath, name, and whether it is a value or a type only. Values are read from the modules as
 * they load, types from the declarations; a value that only one of the two has is told as well.
 *
 * @param {string} root
 */
export async function listExportedNames(root) {
  const folder = join(root, 'packages/onceward')
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const entries = Object.entries(exports).filter(([, target]) => typeof target === 'object')
  const program = ts.createProgram(
    entries.map(([, target]) => join(folder, target.types)),
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      noEmit: true,
      skipLibCheck: true,
      types: [],
    },
  )
  const checker = program.getTypeChecker()
  const lines = []
  for (const [subpath, target] of entries) {
    const specifier = subpath.replace(/^\./, 'onceward')
    const loaded = await import(pathToFileURL(join(folder, target.default)).href)
    const source = program.getSourceFile(join(folder, target.types))
    const module = source && checker.getSymbolAtLocation(source)
    if (module === undefined) throw new Error(`${target.types} is missing or exports nothing`)
    const declared = new Map(checker.getExportsOfModule(module).map((symbol) => [symbol.name, symbol]))
    for (const name of new Set([...declared.keys(), ...Object.keys(loaded)].sort())) {
      const symbol = declared.get(name)
      const isValue = Object.hasOwn(loaded, name)
      const kind = isValue
        ? symbol === undefined
          ? 'value without a type'
          : 'value'
        : saysValue(checker, symbol)
          ? 'declared, not there'
          : 'type'
      lines.push(`${specifier} ${name} ${kind}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function saysValue(/** @type {ts.TypeChecker} */ checker, /** @type {ts.Symbol | undefined} */ symbol) {
  if (symbol === undefined) return false
  // `export type { A } from` hides the value of A behind a type-only export.
  if (
    symbol.declarations?.some(
      (declaration) => ts.isExportSpecifier(declaration) && ts.isTypeOnlyExportDeclaration(declaration),
    )
  )
    return false
  const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  return (real.flags & ts.SymbolFlags.Value) !== 0
}
