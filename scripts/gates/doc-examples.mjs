/**
 * Gate: every example compiles against the built packages, with both current majors of TypeScript, and the runnable
 * ones run. Examples are the `ts` blocks of the documents and every `@example` of a doc comment; a block marked
 * `ts runnable` is also executed and must end by itself without an error.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript-6'
import { CACHE, filesBelow, ROOT } from '../house/paths.mjs'
import { runNode, runTool } from '../house/run.mjs'
import { settingOf, settings } from './doc-settings.mjs'
import { LIST } from './exported-names.mjs'

/** What examples may use without saying where it comes from. */
const PRELUDE = 'scripts/gates/doc-prelude.d.ts'

/** What packages without types have that examples use. */
const UNTYPED = 'scripts/gates/doc-untyped.d.ts'

/**
 * @typedef {{ file: string, line: number, code: string, runnable: boolean, before: string }} Example `before` is the text above it.
 */

/** @type {import('./gate.mjs').Gate} */
export const docExamples = {
  name: 'doc examples',
  guards: 'no example in a document or a doc comment that does not compile (or, if runnable, does not run)',
  async run(root) {
    const examples = findExamples(root)
    // Below the repository, so that `onceward` resolves as it does for a user.
    const folder = join(CACHE, `doc-examples.${process.pid}`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    try {
      const names = writeProject(folder, examples)
      const problems = []
      for (const compiler of ['tsc', 'tsc-6']) {
        const { code, output } = await runTool(compiler, ['-p', folder, '--pretty', 'false'], { cwd: folder })
        if (code !== 0) problems.push(...explain(output, names).map((line) => `${compiler}: ${line}`))
      }
      const runnable = examples.filter((example) => example.runnable)
      for (const example of problems.length === 0 ? runnable : [])
        problems.push(...(await execute(folder, example)))
      return { problems, note: `${examples.length} examples, ${runnable.length} of them run` }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

/**
 * @param {string} root
 * @returns {Example[]}
 */
export function findExamples(root) {
  const documents = filesBelow(root).filter((file) => file.endsWith('.md'))
  const sources = filesBelow(join(root, 'packages'), { base: root }).filter(
    (file) => /\/src\/.*\.ts$/.test(file) && !/\.test(?:-d)?\.ts$/.test(file),
  )
  return [
    ...documents.flatMap((file) => blocksOf(readFileSync(join(root, file), 'utf8'), file)),
    ...sources.flatMap((file) => commentsOf(readFileSync(join(root, file), 'utf8'), file)),
  ]
}

/** @returns {Example[]} */
function blocksOf(/** @type {string} */ text, /** @type {string} */ file, firstLine = 1) {
  const found = []
  for (const match of text.matchAll(/^([ ]*)```(?:ts|typescript)\b([^\n]*)\n([\s\S]*?)^\1```/gm)) {
    const line = firstLine + text.slice(0, match.index).split('\n').length
    const code = (match[3] ?? '').replace(new RegExp(`^${match[1]}`, 'gm'), '')
    const runnable = /\brunnable\b/.test(match[2] ?? '')
    found.push({ file, line, code, runnable, before: text.slice(0, match.index) })
  }
  return found
}

/** @returns {Example[]} */
function commentsOf(/** @type {string} */ text, /** @type {string} */ file) {
  const found = []
  for (const { 0: comment, index } of text.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const plain = comment.replace(/^\/\*\*|\*\/$/g, '').replace(/^[ \t]*\* ?/gm, '')
    const firstLine = text.slice(0, index).split('\n').length
    for (const match of plain.matchAll(/^@example[ \t]*\n?([\s\S]*?)(?=^@\w|(?![\s\S]))/gm)) {
      const body = match[1] ?? ''
      const bodyAt = match.index + match[0].length - body.length
      const line = firstLine + plain.slice(0, bodyAt).split('\n').length - 1
      const fenced = blocksOf(body, file, line)
      if (fenced.length > 0) found.push(...fenced)
      else if (!body.includes('```')) found.push({ file, line, code: body, runnable: false, before: '' })
    }
  }
  return found
}

/**
 * Writes one module for each example, and one that imports every subpath, so that all declarations are read.
 *
 * @param {string} folder
 * @param {readonly Example[]} examples
 */
function writeProject(folder, examples) {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'packages/onceward/package.json'), 'utf8'))
  const subpaths = Object.keys(exports)
    .filter((subpath) => subpath !== './package.json')
    .map((subpath) => subpath.replace(/^\./, 'onceward'))
  const publicNames = readPublicNames()
  const homes = new Map(
    Object.entries(exports).map(([subpath, target]) => [target.default, subpath.replace(/^\./, 'onceward')]),
  )
  const names = new Map()
  for (const [index, example] of examples.entries()) {
    const name = `example-${index}.ts`
    names.set(name, example)
    // What is run stands alone; what is read may leave out what is said around it.
    const imports = example.runnable ? '' : missingImports(example, publicNames, homes)
    // On one line with the first of the example, so that line numbers stay true.
    writeFileSync(join(folder, name), `${imports}${example.code}\nexport {}\n`)
  }
  const all = subpaths.map((subpath, index) => `import * as m${index} from '${subpath}'\nvoid m${index}`)
  writeFileSync(join(folder, 'every-subpath.ts'), `${all.join('\n')}\n`)
  writeFileSync(join(folder, 'prelude.d.ts'), readFileSync(join(ROOT, PRELUDE), 'utf8'))
  writeFileSync(join(folder, 'untyped.d.ts'), readFileSync(join(ROOT, UNTYPED), 'utf8'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2024'],
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    experimentalDecorators: true,
    noEmit: true,
    skipLibCheck: true,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  return names
}

/**
 * From the list of exported names: name → the subpaths that export it.
 *
 * @returns {Map<string, { subpath: string, typeOnly: boolean }[]>}
 */
function readPublicNames() {
  const names = new Map()
  for (const line of readFileSync(join(ROOT, LIST), 'utf8').trim().split('\n')) {
    const [subpath = '', name = '', kind] = line.split(' ')
    names.set(name, [...(names.get(name) ?? []), { subpath, typeOnly: kind === 'type' }])
  }
  return names
}

/**
 * An example shows how a name is used, right where it is spoken of, and so may leave its import out: it is taken from the
 * subpath whose file or section this is, else from the first that has it.
 *
 * @param {Example} example
 * @param {ReturnType<typeof readPublicNames>} names
 * @param {Map<string, string>} homes Built file → subpath.
 */
function missingImports({ code, file, before }, names, homes) {
  const home =
    homes.get(file.replace(/^.*\/src\//, './dist/').replace(/\.ts$/, '.js')) ??
    Object.keys(settings).find((subpath) => code.includes(`'${subpath}'`)) ??
    settingOf(before)
  const setting = settings[home ?? ''] ?? {}
  const plain = code.replace(/'[^'\n]*'|"[^"\n]*"|\/\/.*$/gm, '')
  const used = new Set(plain.match(/(?<![.\w$])[A-Za-z_$][\w$]*(?!\s*:)/g))
  const isDeclared = (/** @type {string} */ name) =>
    new RegExp(
      `\\b(?:const|let|function|class|type)\\s+${name}\\b|\\bimport\\b[^'"]*\\b${name}\\b[^'"]*\\bfrom\\b`,
    ).test(code)
  return [...used]
    .filter((name) => !isDeclared(name))
    .map((name) => {
      const known = Object.hasOwn(setting, name) ? setting[name] : undefined
      if (known !== undefined) return `${known}; `
      const places = names.get(name) ?? []
      const place = places.find(({ subpath }) => subpath === home) ?? places[0]
      return place ? `import ${place.typeOnly ? 'type ' : ''}{ ${name} } from '${place.subpath}'; ` : ''
    })
    .join('')
}

/** Puts the place of the example before what the compiler says. */
function explain(/** @type {string} */ output, /** @type {Map<string, Example>} */ names) {
  return output
    .trim()
    .split('\n')
    .map((text) => {
      const match = /^(example-\d+\.ts)\((\d+),\d+\): (.*)$/.exec(text)
      const example = match && names.get(match[1] ?? '')
      return match && example ? `${example.file}:${example.line + Number(match[2]) - 1} ${match[3]}` : text
    })
}

/** @returns {Promise<string[]>} */
async function execute(/** @type {string} */ folder, /** @type {Example} */ example) {
  const { outputText } = ts.transpileModule(example.code, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  const file = join(folder, `run-${example.line}.mjs`)
  writeFileSync(file, outputText)
  const { code, output } = await runNode(file, [], { cwd: folder, timeoutMs: 30_000 })
  return code === 0 ? [] : [`${example.file}:${example.line} does not run: ${output.trim()}`]
}
