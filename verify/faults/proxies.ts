import type { FaultProxy } from '../../test-servers/index.d.mts'
import type { Target } from './backend.ts'
import { testServers } from './test-servers.ts'

/** A fault of the network: how many replies or bytes it is about, and how long it lasts. */
export interface NetworkFault {
  readonly kind: string
  readonly amount: number
  readonly forMs: number
}

/** The proxies of one trial, one for each server of its store. */
export interface Proxies {
  readonly ports: readonly number[]
  /** Lets a fault of the network begin; it replaces the one before. */
  strike(fault: NetworkFault): void
  /** How often the fault in force has touched something. */
  fired(): number
  heal(): Promise<void>
  stop(): Promise<void>
}

/** Starts a proxy before each server. */
export async function startProxies(targets: readonly Target[]): Promise<Proxies> {
  if (targets.length === 0)
    return { ports: [], strike: () => {}, fired: () => 0, heal: async () => {}, stop: async () => {} }
  const { faultProxy } = await testServers()
  const proxies = await Promise.all(targets.map((target) => faultProxy({ target })))
  return {
    ports: proxies.map(({ port }) => port),
    strike(fault) {
      for (const proxy of proxies) strike(proxy, fault)
    },
    fired: () => proxies.reduce((sum, proxy) => sum + proxy.fired, 0),
    heal: async () => void (await Promise.all(proxies.map((proxy) => proxy.pass()))),
    stop: async () => void (await Promise.all(proxies.map((proxy) => proxy.stop()))),
  }
}

function strike(proxy: FaultProxy, { kind, amount, forMs }: NetworkFault): void {
  switch (kind) {
    case 'net-drop-requests':
      proxy.dropRequests()
      return
    case 'net-drop-replies':
      proxy.dropReplies()
      return
    case 'net-cut-on-reply':
      proxy.cutOnReply(amount)
      return
    case 'net-cut-commit':
      proxy.cutOnReplyTo('COMMIT', amount)
      return
    case 'net-delay':
      proxy.delay(Math.round(forMs / 4))
      return
    case 'net-slice':
      proxy.slice(amount * 5)
      return
    case 'net-reset':
      proxy.reset()
      return
    case 'net-half-open':
      proxy.halfOpen()
      return
    case 'net-partition':
      proxy.blackHole()
      return
    default:
      throw new TypeError(`${kind} is no fault of the network`)
  }
}
