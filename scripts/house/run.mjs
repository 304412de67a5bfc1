import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './paths.mjs'

/**
 * @typedef {{ code: number, output: string }} Ran `code` is 0 only for a process that ended by itself and said so.
 */

/**
 * Runs a program to its end. Never throws for a program that fails.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean, timeoutMs?: number }} [options]
 *   `show` lets it write to our own terminal, and its output is not kept.
 * @returns {Promise<Ran>}
 */
export function run(
  command,
  args,
  { cwd = ROOT, env = process.env, show = false, timeoutMs = 600_000 } = {},
) {
  return new Promise((resolve) => {
    // What is read by a program has no colours, also where a CI asks for them.
    const child = show
      ? spawn(command, args, { cwd, env, stdio: 'inherit' })
      : spawn(command, args, { cwd, env: plain(env), stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, timeoutMs)
    child.stdout?.on('data', (chunk) => {
      output += chunk
    })
    child.stderr?.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', (error) => {
      clearTimeout(timer)
      resolve({ code: 127, output: `${output}${command} could not be started: ${error.message}\n` })
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (late) output += `\nstopped after ${Math.round(timeoutMs / 1000)} s\n`
      else if (signal) output += `\nended by ${signal}\n`
      resolve({ code: code ?? 1, output })
    })
  })
}

/** @param {NodeJS.ProcessEnv} env */
function plain({ FORCE_COLOR: _, ...env }) {
  return { ...env, NO_COLOR: '1' }
}

/**
 * Runs a JavaScript file with this very Node, or with another one.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {Parameters<typeof run>[2] & { node?: string }} [options]
 */
export function runNode(file, args, { node = process.execPath, ...options } = {}) {
  return run(node, [file, ...args], options)
}

const TOOLS = {
  attw: '@arethetypeswrong/cli/dist/index.js',
  biome: '@biomejs/biome/bin/biome',
  knip: 'knip/bin/knip.js',
  publint: 'publint/src/cli.js',
  tsc: 'typescript/bin/tsc',
  'tsc-6': 'typescript-6/bin/tsc',
  vitest: 'vitest/vitest.mjs',
}

/**
 * Runs one of the locked tools.
 *
 * @param {string} tool
 * @param {readonly string[]} args
 * @param {Parameters<typeof runNode>[2]} [options]
 */
export function runTool(tool, args, options) {
  const file = Object.hasOwn(TOOLS, tool) ? TOOLS[/** @type {keyof typeof TOOLS} */ (tool)] : undefined
  if (file === undefined) {
    return Promise.resolve({
      code: 2,
      output: `no such tool: ${tool}. There are ${Object.keys(TOOLS).join(', ')}\n`,
    })
  }
  return runNode(join(ROOT, 'node_modules', file), args, options)
}

/**
 * Runs npm, the one that started us if there is one.
 *
 * @param {readonly string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export function runNpm(args, options) {
  const started = process.env.npm_execpath
  return started?.endsWith('.js') ? runNode(started, args, options) : run('npm', args, options)
}
