import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Tells whether a process runs; one that has ended and waits for its parent (a zombie) does not. */
export function isAlive(pid) {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
  return stateOf(pid) !== 'Z'
}

/** Sends a signal to each process that is still there. */
export function signalAll(pids, signal) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
}

/** The processes that descend from `pid`, nearest first. */
export function descendantsOf(pid) {
  const found = []
  const children = childrenByParent()
  for (let level = [pid]; level.length > 0; ) {
    level = level.flatMap((parent) => children.get(parent) ?? [])
    found.push(...level)
  }
  return found
}

function childrenByParent() {
  const children = new Map()
  for (const { pid, parent } of allProcesses()) {
    const siblings = children.get(parent) ?? []
    siblings.push(pid)
    children.set(parent, siblings)
  }
  return children
}

function allProcesses() {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    return stdout.split('\n').map((line) => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number)
      return { pid, parent }
    })
  }
  const found = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const fields = statOf(entry)
    if (fields) found.push({ pid: Number(entry), parent: Number(fields[1]) })
  }
  return found
}

function stateOf(pid) {
  return process.platform === 'linux' ? statOf(pid)?.[0] : undefined
}

/** Lets a process and all that descend from it stand still, and answers who they are; none was started meanwhile. */
export async function haltAll(pid) {
  // First by itself, so that it starts nobody while they are counted.
  await halt([pid])
  const others = descendantsOf(pid)
  await halt(others)
  return [pid, ...others]
}

/** Somebody who waits for a disk does not stand still before he has it, in ms. */
const HALT_MS = 5_000

/** Stops processes: a signal is sent before it is heard. */
async function halt(pids) {
  signalAll(pids, 'SIGSTOP')
  if (process.platform !== 'linux') return
  const until = Date.now() + HALT_MS
  // Neither stopped nor gone.
  while (pids.some((pid) => /^[RSDI]$/.test(stateOf(pid) ?? '')) && Date.now() < until) await sleep(1)
}

/** The fields of /proc/<pid>/stat behind the name, which may hold blanks and brackets. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** So long a server may take to end in its own way, which leaves nothing behind in the kernel. */
const GRACE_MS = 3_000

/** Ends a server by its own signal, and whatever of it is left then by SIGKILL; answers when all of it is gone. */
export async function endAll(pid, signal) {
  const family = [pid, ...descendantsOf(pid)]
  signalAll(family, 'SIGCONT')
  signalAll([pid], signal)
  if (!(await gone([pid], GRACE_MS))) family.push(...descendantsOf(pid))
  signalAll(family, 'SIGKILL')
  await gone(family, GRACE_MS)
}

/** Waits until none of these processes runs; answers whether it came to that. */
export async function gone(pids, withinMs) {
  const until = Date.now() + withinMs
  while (pids.some(isAlive)) {
    if (Date.now() > until) return false
    await sleep(5)
  }
  return true
}
