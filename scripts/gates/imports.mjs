/**
 * Gate: who may import whom (ARCHITECTURE.md). Core imports nothing of ours; drivers import core; a store, a lock or
 * another capability imports core and drivers; http and testing import core; siblings never import siblings; the server
 * and the examples see the library only through its public exports; the library loads nothing but `node:` built-ins;
 * no cycles.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import ts from 'typescript-6'
import { filesBelow } from '../house/paths.mjs'

const LIBRARY = 'packages/onceward/src/'
const SERVER = 'packages/server/src/'

/** Packages that a file of the library may load while it runs, if the user has installed them, and never before. */
const LOADED_ON_DEMAND = [
  { folder: 'drivers/', packages: ['@photostructure/sqlite'] },
  { folder: 'stores/sqlite/', packages: ['@photostructure/sqlite'] },
  { folder: 'locks/cron-schedule.ts', packages: ['croner'] },
  { folder: 'testing/', packages: ['fast-check'] },
]

/** Ways into `http` that share the folder but are siblings of each other. */
const ADAPTERS = ['express', 'fastify', 'koa', 'hono', 'nest', 'fetch', 'node']

/** Capabilities with a port of their own, which their backends import from the folder above. */
const WITH_BACKENDS = ['locks']

/**
 * Capabilities with parts in folders of their own, which have no subpath: a part imports what is above it, and above only
 * the index imports a part.
 */
const WITH_PARTS = /** @type {Record<string, string[]>} */ ({
  inbox: ['webhooks', 'wrappers'],
  tasks: ['wrappers'],
})

/** An adapter that is another one in different clothes may say so here. */
const BUILT_ON = /** @type {Record<string, string[]>} */ ({
  nest: ['express', 'fastify', 'node'],
  express: ['node'],
  koa: ['node'],
  fastify: ['node'],
  hono: ['fetch'],
})

/**
 * @typedef {{ specifier: string | undefined, typeOnly: boolean, dynamic: boolean, line: number }} Import
 *   `specifier` is missing where it is computed; `dynamic` means within an expression or a type.
 */

/**
 * Lists every wrong import below `root`, one line each.
 *
 * @param {string} root
 * @returns {string[]}
 */
export function importProblems(root) {
  const files = ['packages/onceward', 'packages/server', 'examples']
    .flatMap((folder) => filesBelow(join(root, folder), { base: root }))
    .filter((file) => /\.(?:ts|mts|js|mjs|tsx)$/.test(file) && !file.endsWith('.d.ts'))
  const problems = []
  /** @type {Map<string, string[]>} */
  const graph = new Map()
  for (const file of files) {
    const imports = importsOf(join(root, file))
    const edges = []
    for (const found of imports) {
      const target = resolveRelative(file, found.specifier)
      if (target !== undefined && !found.typeOnly) edges.push(target)
      const why = refuse(root, file, found, target)
      if (why) problems.push(`${file}:${found.line} imports ${found.specifier ?? 'a computed name'}: ${why}`)
    }
    graph.set(file, edges)
  }
  return [...problems, ...cycles(graph)]
}

/**
 * @param {string} root
 * @param {string} file
 * @param {Import} found
 * @param {string | undefined} target
 * @returns {string | undefined} Why the import is wrong.
 */
function refuse(root, file, found, target) {
  const { specifier } = found
  if (file.startsWith(LIBRARY)) return refuseInLibrary(file.slice(LIBRARY.length), found, target)
  if (specifier === undefined) return undefined
  const insideOf = file.startsWith('packages/') ? file.split('/').slice(0, 2).join('/') : 'examples'
  // What tests share with the tests of another package is not shipped.
  const shared =
    target !== undefined && isTest(file) && /^(?:packages\/[^/]+\/test|test-servers)\//.test(target)
  if (target !== undefined && !shared && !target.startsWith(`${insideOf}/`)) {
    return `it reaches into another package; use a public export`
  }
  if (specifier === 'onceward' || specifier.startsWith('onceward/')) {
    const { exports } = JSON.parse(readFileSync(join(root, 'packages/onceward/package.json'), 'utf8'))
    const subpath = specifier.replace(/^onceward/, '.')
    if (!Object.hasOwn(exports, subpath)) return 'it is not a public export of the library'
  } else if (file.startsWith(SERVER) && !isTest(file) && isPackage(specifier)) {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'packages/server/package.json'), 'utf8'))
    if (!Object.hasOwn(dependencies, packageName(specifier)))
      return 'it is not a dependency of the server package'
  }
  return undefined
}

/**
 * @param {string} file Relative to the library's `src`.
 * @param {Import} found
 * @param {string | undefined} target
 */
function refuseInLibrary(file, { specifier, dynamic }, target) {
  // A test may bring anything of the library together, and any tool; it is not shipped.
  if (isTest(file))
    return target !== undefined && !/^(?:packages\/onceward|test-servers)\//.test(target)
      ? 'it leaves the package'
      : undefined
  if (specifier === undefined) {
    return onDemand(file).length > 0 ? undefined : 'a computed name cannot be checked; write it out'
  }
  if (specifier.startsWith('node:')) return undefined
  if (target === undefined) {
    if (dynamic && onDemand(file).includes(specifier)) return undefined
    return 'the library has no dependencies; describe the driver or framework structurally'
  }
  if (!specifier.endsWith('.ts')) return 'relative imports carry the .ts extension'
  if (!target.startsWith(LIBRARY)) return 'it leaves the sources of the library'
  const to = target.slice(LIBRARY.length)
  if (isTest(to)) return 'a shipped file must not need a test'
  return refuseDirection(file, to)
}

function refuseDirection(/** @type {string} */ from, /** @type {string} */ to) {
  const [fromUnit, toUnit] = [unitOf(from), unitOf(to)]
  if (fromUnit === toUnit) return from.startsWith('http/') ? refuseAdapter(from, to) : undefined
  const allowed = allowedFor(fromUnit)
  if (from === `${fromUnit}/index.ts`) allowed.push(...partsOf(fromUnit))
  if (allowed.includes(toUnit)) return undefined
  return `${fromUnit} may import ${allowed.length > 0 ? allowed.join(' and ') : 'nothing of ours'}, not ${toUnit}`
}

function allowedFor(/** @type {string} */ unit) {
  if (unit === 'core') return []
  if (unit === 'testing') return ['core', ...WITH_BACKENDS]
  if (unit === 'drivers' || unit === 'http') return ['core']
  const [above = ''] = unit.split('/')
  const seesAbove = unit !== above && (WITH_BACKENDS.includes(above) || partsOf(above).includes(unit))
  return seesAbove ? ['core', 'drivers', above] : ['core', 'drivers']
}

function partsOf(/** @type {string} */ capability) {
  return (WITH_PARTS[capability] ?? []).map((part) => `${capability}/${part}`)
}

function refuseAdapter(/** @type {string} */ from, /** @type {string} */ to) {
  const [a, b] = [adapterOf(from), adapterOf(to)]
  if (b === undefined || a === b) return undefined
  if (a === undefined) return `what adapters share must not import one of them (${b})`
  return BUILT_ON[a]?.includes(b) ? undefined : `${a} and ${b} are siblings; move what they share below both`
}

/** The part of the library that a file belongs to; parts of one kind (stores, locks…) are told apart. */
function unitOf(/** @type {string} */ file) {
  const [top = '', second = ''] = file.split('/')
  if (['core', 'drivers', 'http', 'testing'].includes(top)) return top
  return second.endsWith('.ts') || second === '' ? top : `${top}/${second}`
}

function adapterOf(/** @type {string} */ file) {
  const name = /^http\/([a-z]+)(?:\.ts$|\/|-)/.exec(file)?.[1]
  return name !== undefined && ADAPTERS.includes(name) ? name : undefined
}

function onDemand(/** @type {string} */ file) {
  return LOADED_ON_DEMAND.filter(({ folder }) => file.startsWith(folder)).flatMap(({ packages }) => packages)
}

function resolveRelative(/** @type {string} */ file, /** @type {string | undefined} */ specifier) {
  if (specifier === undefined || !/^\.{1,2}(?:\/|$)/.test(specifier)) return undefined
  return posix.join(dirname(file), specifier)
}

function isTest(/** @type {string} */ file) {
  return (
    /\.test(?:-d)?\.m?[jt]s$/.test(file) ||
    /^packages\/[^/]+\/test\//.test(file) ||
    /(?:^|\/)test(?:s|-support)?\//.test(file)
  )
}

function isPackage(/** @type {string} */ specifier) {
  return !specifier.startsWith('.') && !specifier.startsWith('node:')
}

function packageName(/** @type {string} */ specifier) {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/**
 * Reads the imports of one file, in all their forms, by the compiler's own parser.
 *
 * @param {string} path
 * @returns {Import[]}
 */
export function importsOf(path) {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, false)
  /** @type {Import[]} */
  const found = []
  const add = (
    /** @type {ts.Node} */ node,
    /** @type {ts.Node | undefined} */ name,
    typeOnly = false,
    dynamic = false,
  ) => {
    const specifier = name && ts.isStringLiteralLike(name) ? name.text : undefined
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
    found.push({ specifier, typeOnly, dynamic, line: line + 1 })
  }
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeOnly(node))
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier)
      add(node, node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true, true)
    } else if (ts.isCallExpression(node) && loads(node.expression)) add(node, node.arguments[0], false, true)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function isTypeOnly(/** @type {ts.ImportDeclaration} */ node) {
  const clause = node.importClause
  if (clause === undefined) return false
  if (clause.isTypeOnly) return true
  const names = clause.namedBindings
  // `import { type A } from` is kept as a bare import by the compiler, so it counts as one that runs.
  return (
    clause.name === undefined &&
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.length === 0
  )
}

function loads(/** @type {ts.Expression} */ callee) {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true
  return ts.isIdentifier(callee) && callee.text === 'require'
}

/**
 * Names each cycle of imports that run, once.
 *
 * @param {Map<string, string[]>} graph
 * @returns {string[]}
 */
function cycles(graph) {
  const found = []
  /** @type {Map<string, 'open' | 'closed'>} */
  const state = new Map()
  const path = /** @type {string[]} */ ([])
  const visit = (/** @type {string} */ file) => {
    state.set(file, 'open')
    path.push(file)
    for (const next of graph.get(file) ?? []) {
      if (state.get(next) === 'open')
        found.push(`a cycle: ${[...path.slice(path.indexOf(next)), next].join(' → ')}`)
      else if (!state.has(next) && graph.has(next)) visit(next)
    }
    path.pop()
    state.set(file, 'closed')
  }
  for (const file of graph.keys()) if (!state.has(file)) visit(file)
  return found
}

/** @type {import('./gate.mjs').Gate} */
export const imports = {
  name: 'imports',
  guards: 'who may import whom; no cycles; nothing but node: in the library',
  async run(root) {
    if (!existsSync(join(root, LIBRARY))) return { problems: ['the library has no sources'] }
    return { problems: importProblems(root) }
  },
}
