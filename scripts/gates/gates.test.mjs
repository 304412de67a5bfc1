/** Each gate refuses what it guards against, and says where. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../house/paths.mjs'
import { coreSize } from './core-size.mjs'
import { docExamples } from './doc-examples.mjs'
import { exportedNames } from './exported-names.mjs'
import { fileLength } from './file-length.mjs'
import { withFixture } from './fixture.mjs'
import { judge } from './gate.mjs'
import { imports } from './imports.mjs'
import { GATES } from './index.mjs'
import { links } from './links.mjs'
import { attw, biome, knip, publint, scriptTypes, types } from './tools.mjs'
import { trackedFiles } from './tracked-files.mjs'

const LIBRARY = 'packages/onceward/src'
const LIBRARY_PACKAGE = {
  name: 'onceward',
  version: '0.1.0',
  type: 'module',
  files: ['dist'],
  exports: { '.': { types: './dist/core/index.d.ts', default: './dist/core/index.js' } },
}
const SERVER_PACKAGE = {
  name: '@onceward/server',
  version: '0.1.0',
  type: 'module',
  files: ['dist'],
  exports: { '.': './dist/index.js' },
  dependencies: {},
}
const PROJECT = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    types: [],
    module: 'nodenext',
    target: 'es2022',
    allowJs: true,
    checkJs: true,
  },
  include: ['.'],
}

/**
 * What each gate must refuse: a tree of files, and what the objection must name.
 *
 * @type {{ gate: import('./gate.mjs').Gate, files: Record<string, string | object>, says: RegExp[], apart?: boolean }[]}
 */
const BAD = [
  {
    gate: imports,
    files: {
      'packages/onceward/package.json': LIBRARY_PACKAGE,
      'packages/server/package.json': SERVER_PACKAGE,
      [`${LIBRARY}/core/a.ts`]: `import { b } from '../stores/sqlite/b.ts'\nexport { b }\n`,
      [`${LIBRARY}/drivers/a.ts`]: `import type { S } from '../http/s.ts'\nexport type T = S\n`,
      [`${LIBRARY}/stores/sqlite/b.ts`]: `export * from '../memory/c.ts'\n`,
      [`${LIBRARY}/stores/redis/c.ts`]: `import { createClient } from 'redis'\nexport { createClient }\n`,
      [`${LIBRARY}/stores/redis/d.ts`]: `export type R = import('ioredis').Redis\n`,
      [`${LIBRARY}/stores/redis/e.ts`]: `import '../../core/a'\n`,
      [`${LIBRARY}/stores/redis/f.ts`]: `export const f = (n: string) => import(n)\n`,
      [`${LIBRARY}/stores/redis/g.ts`]: `import { startRedis } from '../../../../../test-servers/index.mjs'\nexport { startRedis }\n`,
      [`${LIBRARY}/http/koa.ts`]: `import { x } from './express.ts'\nexport { x }\n`,
      [`${LIBRARY}/http/guard.ts`]: `import { x } from './koa.ts'\nexport { x }\n`,
      [`${LIBRARY}/testing/a.ts`]: `import { x } from '../stores/memory/c.ts'\nexport { x }\n`,
      [`${LIBRARY}/testing/b.ts`]: `import fc from 'fast-check'\nexport { fc }\n`,
      [`${LIBRARY}/inbox/create-inbox.ts`]: `import { x } from './wrappers/x.ts'\nexport { x }\n`,
      [`${LIBRARY}/inbox/webhooks/y.ts`]: `import { x } from '../wrappers/x.ts'\nexport { x }\n`,
      [`${LIBRARY}/outbox/z.ts`]: `import { x } from '../inbox/wrappers/x.ts'\nexport { x }\n`,
      [`${LIBRARY}/core/one.ts`]: `import { two } from './two.ts'\nexport const one = () => two\n`,
      [`${LIBRARY}/core/two.ts`]: `import { one } from './one.ts'\nexport const two = () => one\n`,
      'packages/server/src/a.ts': `import { a } from '../../onceward/src/core/a.ts'\nexport { a }\n`,
      'packages/server/src/b.ts': `import { a } from 'onceward/dist/core/a.js'\nexport { a }\n`,
      'packages/server/src/d.ts': `import { startRedis } from '../../../test-servers/index.mjs'\nexport { startRedis }\n`,
      'packages/server/src/c.ts': `import { lodash } from 'lodash'\nexport { lodash }\n`,
      'examples/x/a.js': `import { a } from '../../packages/onceward/dist/core/index.js'\nexport { a }\n`,
    },
    says: [
      /core\/a\.ts:1 .*core may import nothing of ours/,
      /drivers\/a\.ts:1 .*drivers may import core, not http/,
      /sqlite\/b\.ts:1 .*not stores\/memory/,
      /redis\/c\.ts:1 imports redis: the library has no dependencies/,
      /redis\/d\.ts:1 imports ioredis/,
      /redis\/e\.ts:1 .*\.ts extension/,
      /redis\/f\.ts:1 imports a computed name/,
      /redis\/g\.ts:1 imports .*test-servers/,
      /http\/koa\.ts:1 .*siblings/,
      /http\/guard\.ts:1 .*must not import one of them/,
      /testing\/a\.ts:1 .*testing may import core/,
      /testing\/b\.ts:1 imports fast-check/,
      /inbox\/create-inbox\.ts:1 .*not inbox\/wrappers/,
      /webhooks\/y\.ts:1 .*not inbox\/wrappers/,
      /outbox\/z\.ts:1 .*not inbox\/wrappers/,
      /a cycle: .*one\.ts → .*two\.ts → .*one\.ts/,
      /server\/src\/a\.ts:1 .*another package/,
      /server\/src\/b\.ts:1 .*not a public export/,
      /server\/src\/c\.ts:1 .*not a dependency/,
      /server\/src\/d\.ts:1 .*another package/,
      /examples\/x\/a\.js:1 .*another package/,
    ],
  },
  {
    gate: fileLength,
    files: {
      'packages/x/src/long.ts': 'export {}\n'.repeat(301),
      'packages/x/src/fits.ts': 'export {}\n'.repeat(300),
    },
    says: [/^packages\/x\/src\/long\.ts has 301 lines/],
  },
  {
    gate: trackedFiles,
    apart: true,
    files: {
      'docs/a.md': `see ${['', 'home', 'ann', 'checkout'].join('/')}\n`,
      'package-lock.json': `{ "${'resolved'}": "https://example.test/a.tgz" }`,
      'docs/fine.md': 'see /payments/home and https://example.test/root/x\n',
    },
    says: [/docs\/a\.md:1 holds a path/, /package-lock\.json:1 holds where/],
  },
  {
    gate: links,
    files: {
      'a.md': '[gone](docs/gone.md) [wrong](b.md#no-such) [fine](b.md#a-heading)\n`[code](not/checked.md)`\n',
      'b.md': '# A heading\n\n[up](../../outside.md)\n',
    },
    says: [
      /a\.md:1 links to docs\/gone\.md: there is no such file/,
      /b\.md#no-such: there is no such heading/,
      /it leaves/,
    ],
  },
  {
    gate: biome,
    apart: true,
    files: {
      'biome.json': { root: true, extends: [join(ROOT, 'biome.json')], vcs: { enabled: false } },
      'a.ts': `import { b } from './b.ts'\n\nexport const a = (): number => b()\n`,
      'b.ts': `import { a } from './a.ts'\n\nexport const b = (): number => a()\n`,
      'c.ts': `export async function work(): Promise<number> {\n  return 1\n}\n\nexport function forget(value: any): void {\n  work()\n  for (const item of [1].filter(async () => true)) value[item]!.go()\n}\n`,
      'd.ts': `export  const   ugly = "x";\n`,
    },
    says: [
      /noImportCycles/,
      /noFloatingPromises/,
      /noExplicitAny/,
      /noNonNullAssertion/,
      /noMisusedPromises/,
      /Formatter would have/,
    ],
  },
  {
    gate: types,
    files: {
      'tsconfig.check.json': PROJECT,
      'package.json': { type: 'module' },
      'a.ts': `export const a: number = 'text'\n`,
    },
    says: [/a\.ts\(1,14\): error TS2322/],
  },
  {
    gate: scriptTypes,
    files: {
      'scripts/tsconfig.json': PROJECT,
      'package.json': { type: 'module' },
      'scripts/a.mjs': `/** @type {number} */\nexport const a = 'text'\n`,
    },
    says: [/a\.mjs\(2,14\): error TS2322/],
  },
  {
    gate: docExamples,
    files: {
      'README.md': "# A\n\n```ts\nimport { createOnce } from 'onceward'\ncreateOnce({ stoer: 1 })\n```\n",
      'packages/onceward/src/core/a.ts':
        '/**\n * Does.\n *\n * @example\n * const fine: number = 1\n * const wrong: number = noEffect(1)\n */\nexport const a = 1\n',
    },
    says: [
      /^tsc: README\.md:5 error TS/,
      /^tsc-6: README\.md:5 error TS/,
      /^tsc: packages\/onceward\/src\/core\/a\.ts:6 error TS/,
    ],
  },
  {
    gate: docExamples,
    files: { 'docs/a.md': "```ts runnable\nif (1 + 1 === 2) throw new Error('it does not hold')\n```\n" },
    says: [/docs\/a\.md:2 does not run: [\s\S]*it does not hold/],
  },
  {
    gate: exportedNames,
    files: {
      'packages/onceward/package.json': LIBRARY_PACKAGE,
      'packages/onceward/dist/core/index.js': 'export const kept = 1\nexport const added = 2\n',
      'packages/onceward/dist/core/index.d.ts':
        'export declare const kept: number\nexport declare const absent: number\n',
      'packages/onceward/exported-names.txt': 'onceward kept value\nonceward removed value\n',
    },
    says: [
      /new or changed: onceward added value without a type/,
      /onceward absent declared, not there/,
      /gone: onceward removed value/,
    ],
  },
  {
    gate: coreSize,
    files: {
      'packages/onceward/package.json': LIBRARY_PACKAGE,
      'packages/onceward/dist/core/index.js': `export * from './big.js'\n`,
      'packages/onceward/dist/core/big.js': `export const big = '${Array.from({ length: 4000 }, (_, i) => Math.sin(i).toString(36).slice(3)).join('')}'\n`,
    },
    says: [/the budget is/],
  },
  {
    gate: publint,
    files: {
      'packages/onceward/package.json': LIBRARY_PACKAGE,
      'packages/server/package.json': SERVER_PACKAGE,
    },
    says: [
      /dist\/core\/index\.js but the file does not exist/,
      /dist\/index\.js but the file does not exist/,
    ],
  },
  {
    gate: attw,
    files: {
      'packages/onceward/package.json': {
        ...LIBRARY_PACKAGE,
        exports: { ...LIBRARY_PACKAGE.exports, './*': './dist/*' },
      },
      'packages/onceward/dist/core/index.js': 'export const a = 1\n',
      'packages/server/package.json': SERVER_PACKAGE,
      'packages/server/dist/index.js': 'export const a = 1\n',
    },
    says: [/write the subpaths of \.\/\* out/, /onceward has no types/],
  },
  {
    gate: knip,
    files: {
      'package.json': {
        name: 'x',
        type: 'module',
        main: 'index.js',
        dependencies: { 'never-used': '1.0.0' },
      },
      'index.js': `import { used } from './used.js'\nimport 'not-declared'\nused()\n`,
      'used.js': 'export const used = () => 1\nexport const unused = () => 2\n',
      'orphan.js': 'export const orphan = 1\n',
    },
    says: [/orphan\.js/, /never-used/, /not-declared/, /unused/],
  },
]

describe('a gate', () => {
  for (const { gate, files, says, apart = false } of BAD) {
    it(`"${gate.name}" refuses what it guards against: ${says[0]}`, { timeout: 60_000 }, async () => {
      const { problems } = await withFixture(files, (root) => judge(gate, root), { apart })
      for (const pattern of says)
        expect(problems.join('\n')).toMatch(new RegExp(pattern.source, `${pattern.flags}m`))
    })
  }

  it('does not object to what is allowed', async () => {
    const files = {
      'packages/onceward/package.json': LIBRARY_PACKAGE,
      [`${LIBRARY}/core/a.ts`]: `import { hash } from 'node:crypto'\nexport { hash }\n`,
      [`${LIBRARY}/stores/sqlite/b.ts`]: `import { a } from '../../core/a.ts'\nimport '../../drivers/d.ts'\nexport const b = () => a\n`,
      [`${LIBRARY}/drivers/d.ts`]: `import type { b } from '../core/a.ts'\nexport const open = () => import('@photostructure/sqlite')\nexport type { b }\n`,
      [`${LIBRARY}/stores/redis/a.test.ts`]: `import { startRedis } from '../../../../../test-servers/index.mjs'\nstartRedis()\n`,
      [`${LIBRARY}/inbox/index.ts`]: `export * from './wrappers/x.ts'\n`,
      [`${LIBRARY}/inbox/wrappers/x.ts`]: `import { id } from '../id.ts'\nexport const x = id\n`,
      [`${LIBRARY}/inbox/id.ts`]: `export const id = 1\n`,
      [`${LIBRARY}/core/types-one.ts`]: `import type { Two } from './types-two.ts'\nexport type One = Two\n`,
      [`${LIBRARY}/core/types-two.ts`]: `import type { One } from './types-one.ts'\nexport type Two = One[]\n`,
    }
    const { problems } = await withFixture(files, (root) => judge(imports, root))
    expect(problems).toEqual([])
  })

  it('that throws has failed', async () => {
    const { problems } = await judge(
      { name: 'x', guards: 'y', run: () => Promise.reject(new Error('broken')) },
      ROOT,
    )
    expect(problems.join()).toContain('broken')
  })

  it('that answers nothing has failed', async () => {
    const silent = /** @type {import('./gate.mjs').Gate} */ (
      /** @type {unknown} */ ({ name: 'x', guards: 'y', run: async () => undefined })
    )
    expect((await judge(silent, ROOT)).problems).toHaveLength(1)
  })

  it('is proven here, whichever it is', () => {
    expect(GATES.filter((gate) => !BAD.some((bad) => bad.gate === gate)).map((gate) => gate.name)).toEqual([])
  })

  it('runs in the continuous integration, where a skip is a failure', () => {
    expect(readFileSync(join(ROOT, '.ci/run'), 'utf8')).toMatch(/^npm test .*--require-all$/m)
  })
})
