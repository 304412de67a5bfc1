import { onlyMessages } from './floor.mjs'
import { onceward } from './onceward.mjs'
import { byHand, noLock, peers } from './peers.mjs'

/** The floor comes first. @type {readonly import('./contestant.mjs').LockContestant[]} */
export const contestants = [byHand, onlyMessages, ...peers, ...onceward]

/** @param {string} name @returns {import('./contestant.mjs').LockContestant} */
export function contestantOf(name) {
  const found = [...contestants, noLock].find((one) => one.name === name)
  if (!found) throw new Error(`there is no contestant ${name}`)
  return found
}
