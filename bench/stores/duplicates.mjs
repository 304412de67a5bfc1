import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The most effects that are looked for: one key, this many times from each of two processes. */
const EACH = 50

/**
 * Counts how often two processes together do the work of one key that both are asked for fifty times at once.
 *
 * @param {string} module The module with the contestants.
 * @param {string} name
 * @param {string} url
 */
export async function effectsOfDuplicates(module, name, url) {
  const key = `duplicate-${process.pid}-${Date.now()}`
  const children = await Promise.all([1, 2].map(() => start([module, name, url, key])))
  for (const child of children) child.send('go')
  const counts = await Promise.all(children.map(answerOf))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** @param {readonly string[]} args */
async function start(args) {
  const child = fork(fileURLToPath(import.meta.url), args)
  await once(child, 'message')
  return child
}

/** @param {import('node:child_process').ChildProcess} child */
async function answerOf(child) {
  const ended = once(child, 'exit')
  const [effects] = await once(child, 'message')
  await ended
  return Number(effects)
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [module = '', name = '', url = '', key = ''] = process.argv.slice(2)
  const { contestants } = await import(module)
  const contestant = await contestants
    .find((/** @type {{ name: string }} */ one) => one.name === name)
    .open(url)
  process.send('ready')
  await once(process, 'message')
  let effects = 0
  await Promise.allSettled(
    Array.from({ length: EACH }, () =>
      contestant.run(key, () => {
        effects += 1
        return effects
      }),
    ),
  )
  process.send(effects)
  await contestant.close()
  process.disconnect()
}
