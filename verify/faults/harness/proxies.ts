import type { FaultProxy } from '../../../test-servers/index.d.mts'
import { testServers } from '../test-servers.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { TrialFault } from './trial-faults.ts'
import type { Target } from './trial-kind.ts'

/** The proxies of one trial, one for each server of its store. */
export interface Proxies {
  readonly ports: readonly number[]
  /** Lets a fault of the network begin; it replaces the one before. */
  strike(fault: TrialFault): void
  /** Ends it, and tells of it where it has met any traffic. */
  heal(): Promise<void>
  stop(): Promise<void>
}

/** Starts a proxy before each server. */
export async function startProxies(
  targets: readonly Target[],
  met: (kind: FaultKind, times: number) => void,
): Promise<Proxies> {
  if (targets.length === 0) return { ports: [], strike: () => {}, heal: async () => {}, stop: async () => {} }
  const { faultProxy } = await testServers()
  const proxies = await Promise.all(targets.map((target) => faultProxy({ target })))
  let inForce: FaultKind | undefined
  const tell = () => {
    const times = proxies.reduce((sum, proxy) => sum + proxy.fired, 0)
    if (inForce !== undefined && times > 0) met(inForce, times)
    inForce = undefined
  }
  return {
    ports: proxies.map(({ port }) => port),
    strike(fault) {
      tell()
      inForce = fault.kind
      for (const proxy of proxies) strike(proxy, fault)
    },
    async heal() {
      tell()
      await Promise.all(proxies.map((proxy) => proxy.pass()))
    },
    stop: async () => void (await Promise.all(proxies.map((proxy) => proxy.stop()))),
  }
}

function strike(proxy: FaultProxy, { kind, amount, forMs }: TrialFault): void {
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
