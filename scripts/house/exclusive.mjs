import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CACHE } from './paths.mjs'

/**
 * Runs `work` while no other process on this machine runs work of the same name in this checkout.
 * A holder that has died is noticed by its process id.
 *
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} work
 * @param {{ folder?: string, onWait?: (pid: number) => void }} [options]
 * @returns {Promise<T>}
 */
export async function exclusively(name, work, { folder = join(CACHE, 'locks'), onWait } = {}) {
  mkdirSync(folder, { recursive: true })
  const lock = join(folder, `${name}.lock`)
  const mine = join(folder, `${name}.${process.pid}.${Date.now()}`)
  writeFileSync(mine, String(process.pid))
  let told = false
  try {
    while (!take(mine, lock)) {
      const holder = holderOf(lock)
      if (holder === undefined) continue
      if (!isAlive(holder)) {
        // One that has ended well since it was read has given the lock back, and somebody else may have it.
        if (holderOf(lock) === holder) clearStale(lock, holder)
        continue
      }
      if (!told) onWait?.(holder)
      told = true
      await sleep(100)
    }
  } finally {
    rmSync(mine, { force: true })
  }
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** A hard link either appears whole, with the process id in it, or not at all. */
function take(/** @type {string} */ mine, /** @type {string} */ lock) {
  try {
    linkSync(mine, lock)
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false
    throw error
  }
}

function holderOf(/** @type {string} */ lock) {
  try {
    return Number(readFileSync(lock, 'utf8'))
  } catch {
    return undefined
  }
}

/** Moves the lock aside first: if another process was quicker, what we moved is not the dead holder's, and goes back. */
function clearStale(/** @type {string} */ lock, /** @type {number} */ dead) {
  const aside = `${lock}.${process.pid}`
  try {
    renameSync(lock, aside)
  } catch {
    return
  }
  if (holderOf(aside) !== dead) take(aside, lock)
  rmSync(aside, { force: true })
}

function isAlive(/** @type {number} */ pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}
