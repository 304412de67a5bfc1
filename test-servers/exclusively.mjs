import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from './processes.mjs'

/** Runs `work` while no other process of this machine runs work of the same name; a holder that died is noticed. */
export async function exclusively(name, { folder }, work) {
  const lock = join(folder, `${name}.lock`)
  const mine = join(folder, `${name}.${process.pid}.${Math.random().toString(36).slice(2)}`)
  await writeFile(mine, String(process.pid))
  try {
    while (!(await take(mine, lock))) {
      const holder = await holderOf(lock)
      if (holder === undefined) continue
      if (isAlive(holder)) await sleep(50)
      else await clearStale(lock, holder, mine)
    }
  } finally {
    await rm(mine, { force: true })
  }
  try {
    return await work()
  } finally {
    await rm(lock, { force: true })
  }
}

/** A hard link either appears whole, with the process id in it, or not at all. */
function take(mine, lock) {
  return link(mine, lock).then(
    () => true,
    (error) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
}

function holderOf(lock) {
  return readFile(lock, 'utf8').then(Number, () => undefined)
}

/** Moves the lock aside first: if another process was quicker, what we moved is not the dead holder's, and goes back. */
async function clearStale(lock, dead, mine) {
  const aside = `${mine}.aside`
  try {
    await rename(lock, aside)
  } catch {
    return
  }
  if ((await holderOf(aside)) !== dead) await take(aside, lock)
  await rm(aside, { force: true })
}
