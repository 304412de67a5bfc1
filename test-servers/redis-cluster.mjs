import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from './redis.mjs'
import { slotOf } from './redis-slot.mjs'

const SLOTS = 16_384

/** A cluster that does not settle in this time has a defect. */
const MOST_MS = 30_000

/** See index.d.mts. */
export async function startRedisCluster({ nodes: count = 3, config = {}, password } = {}) {
  const nodes = []
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())))
  try {
    await Promise.all(
      Array.from({ length: count }, async () => {
        nodes.push(await startNode(config, password))
      }),
    )
    await join(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  const { version, source } = nodes[0]
  const nodeOf = async (key) => ownerOf(nodes, slotOf(key))
  const beginSlotMove = (slot, to) => beginMove(nodes, slot, to, password)
  return {
    version,
    source,
    nodes,
    urls: nodes.map(({ url }) => url),
    slotOf,
    nodeOf,
    beginSlotMove,
    moveSlot: async (slot, to) => (await beginSlotMove(slot, to)).finish(),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function startNode(config, password) {
  return startRedis({
    password,
    hasBus: true,
    config: {
      'cluster-enabled': 'yes',
      'cluster-node-timeout': '2000',
      'cluster-require-full-coverage': 'no',
      ...config,
    },
  })
}

/** Shares the slots out evenly and waits until every node knows all of it. */
async function join(nodes) {
  const share = Math.ceil(SLOTS / nodes.length)
  await Promise.all(
    nodes.map(async (node, index) => {
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
      const [first, last] = [index * share, Math.min(SLOTS, (index + 1) * share) - 1]
      await node.command('CLUSTER', 'ADDSLOTSRANGE', String(first), String(last))
    }),
  )
  for (const [index, node] of nodes.entries()) {
    for (const { host, port, busPort } of await Promise.all(nodes.slice(index + 1).map(addressOf)))
      await node.command('CLUSTER', 'MEET', host, String(port), String(busPort))
  }
  await until('the cluster does not form', async () => {
    const states = await Promise.all(nodes.map((node) => node.command('CLUSTER', 'INFO')))
    return states.every(
      (state) =>
        /^cluster_state:ok/m.test(state) &&
        state.includes(`cluster_slots_ok:${SLOTS}`) &&
        state.includes(`cluster_known_nodes:${nodes.length}\r`),
    )
  })
}

async function addressOf(node) {
  const [, busPort] = await node.command('CONFIG', 'GET', 'cluster-port')
  return { host: node.host, port: node.port, busPort }
}

async function ownerOf(nodes, slot) {
  const asked = nodes.find(({ pid }) => pid !== undefined)
  for (const [first, last, [, port]] of await asked.command('CLUSTER', 'SLOTS')) {
    if (slot >= first && slot <= last) return nodes.find((node) => node.port === port)
  }
  throw new Error(`nobody serves slot ${slot}`)
}

async function beginMove(nodes, slot, to, password) {
  const from = await ownerOf(nodes, slot)
  if (from === to) return { finish: async () => {} }
  const [fromId, toId] = await Promise.all([from, to].map((node) => node.command('CLUSTER', 'MYID')))
  const number = String(slot)
  await to.command('CLUSTER', 'SETSLOT', number, 'IMPORTING', fromId)
  await from.command('CLUSTER', 'SETSLOT', number, 'MIGRATING', toId)
  return {
    async finish() {
      await moveKeys(from, to, number, password)
      // The new owner first, so that the slot has one at every moment.
      for (const node of [to, from, ...nodes.filter((node) => node !== from && node !== to)])
        await node.command('CLUSTER', 'SETSLOT', number, 'NODE', toId)
      await until('the cluster does not agree on the slot', async () => (await ownerOf(nodes, slot)) === to)
    },
  }
}

async function moveKeys(from, to, slot, password) {
  const auth = password === undefined ? [] : ['AUTH', password]
  for (;;) {
    const keys = await from.command('CLUSTER', 'GETKEYSINSLOT', slot, '100')
    if (keys.length === 0) return
    await from.command('MIGRATE', to.host, String(to.port), '', '0', '5000', ...auth, 'KEYS', ...keys)
  }
}

async function until(complaint, condition) {
  for (const end = Date.now() + MOST_MS; !(await condition()); await sleep(20)) {
    if (Date.now() > end) throw new Error(`${complaint} within ${MOST_MS} ms`)
  }
}
