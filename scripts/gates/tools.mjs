/** Gates that are a locked tool's own verdict. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE } from '../house/paths.mjs'
import { runNpm, runTool } from '../house/run.mjs'
import { verdictOf } from './gate.mjs'

/** @type {import('./gate.mjs').Gate} */
export const biome = {
  name: 'biome',
  guards: 'format, and the lint rules: no promise nobody awaits, no any, no non-null assertion, no cycle',
  run: async (root) =>
    verdictOf(
      await runTool('biome', ['check', '--max-diagnostics=40', '--error-on-warnings', root], { cwd: root }),
    ),
}

/** @type {import('./gate.mjs').Gate} */
export const types = {
  name: 'types',
  guards: 'sources, tests, verification, benchmarks and examples agree with the built packages',
  run: async (root) => verdictOf(await runTool('tsc', ['-p', 'tsconfig.check.json'], { cwd: root })),
}

/** @type {import('./gate.mjs').Gate} */
export const scriptTypes = {
  name: 'types of scripts',
  guards: 'the scripts you are reading are type-checked too',
  run: async (root) => verdictOf(await runTool('tsc', ['-p', 'scripts/tsconfig.json'], { cwd: root })),
}

/** @type {import('./gate.mjs').Gate} */
export const knip = {
  name: 'knip',
  guards: 'no unused file, dependency or export; nothing imported that is not declared',
  run: async (root) =>
    verdictOf(await runTool('knip', ['--no-progress', '--treat-config-hints-as-errors'], { cwd: root })),
}

/** @type {import('./gate.mjs').Gate} */
export const publint = {
  name: 'publint',
  guards: 'the packages can be published and loaded as their package.json says',
  async run(root) {
    const problems = []
    for (const name of ['onceward', 'server']) {
      const ran = await runTool('publint', ['run', join(root, 'packages', name), '--strict'], { cwd: root })
      problems.push(...verdictOf(ran).problems)
    }
    return { problems }
  },
}

/** @type {import('./gate.mjs').Gate} */
export const attw = {
  name: 'attw',
  guards: 'every subpath has types that fit the code it loads',
  async run(root) {
    const folder = join(CACHE, `pack.${process.pid}`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    try {
      const problems = []
      for (const name of ['onceward', 'server']) {
        const { exports } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
        const wildcards = Object.keys(exports).filter((subpath) => subpath.includes('*'))
        // The checker passes over wildcards without a word.
        problems.push(...wildcards.map((subpath) => `packages/${name}: write the subpaths of ${subpath} out`))
        const packed = await runNpm(['pack', '--silent', '--pack-destination', folder], {
          cwd: join(root, 'packages', name),
        })
        if (packed.code !== 0) return verdictOf(packed)
      }
      for (const name of ['onceward', 'onceward-server']) {
        const file = readdirSync(folder).find((archive) => new RegExp(`^${name}-\\d`).test(archive))
        if (file === undefined) return { problems: [...problems, `npm pack made no archive of ${name}`] }
        const ran = await runTool('attw', [
          join(folder, file),
          '--profile',
          'esm-only',
          '--no-color',
          '--no-emoji',
        ])
        problems.push(...verdictOf(ran).problems)
        // Said by the checker without a failing exit code.
        if (/does not contain types/i.test(ran.output)) problems.push(`${name} has no types`)
      }
      return { problems }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
