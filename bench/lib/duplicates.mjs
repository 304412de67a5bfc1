import { openConnection } from './load.mjs'

/**
 * Sends one key a hundred times at once through all of `servers`, which share a store, and counts the effects.
 * A contestant's speed counts only if there is one.
 *
 * @param {readonly import('./child.mjs').Child[]} servers
 * @param {import('./load.mjs').LoadRequest} request
 * @param {() => Promise<number>} countEffects How many effects there have been until now.
 * @returns {Promise<{ effects: number, statuses: Record<string, number> }>}
 */
export async function sendDuplicates(servers, request, countEffects) {
  const before = await countEffects()
  const sockets = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      openConnection(/** @type {import('./child.mjs').Child} */ (servers[index % servers.length]).url),
    ),
  )
  /** @type {Record<string, number>} */
  const statuses = {}
  try {
    for (const { status } of await Promise.all(sockets.map((socket) => socket.send(request)))) {
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  } finally {
    for (const socket of sockets) socket.close()
  }
  return { effects: (await countEffects()) - before, statuses }
}
