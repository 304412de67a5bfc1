import { BlockList, isIP } from 'node:net'
import { usageError } from '../exit-codes.ts'

/** Tells whether the scope and forwarding fields of a peer are believed. */
export type TrustedPeers = (address: string | undefined) => boolean

/**
 * Trusts loopback, and the given addresses and CIDRs. An IPv4 address mapped into IPv6 counts as the IPv4 one.
 *
 * @throws `CommandError` (usage) for what is neither.
 */
export function trustedPeers(list: readonly string[]): TrustedPeers {
  const trusted = new BlockList()
  trusted.addSubnet('127.0.0.0', 8, 'ipv4')
  trusted.addAddress('::1', 'ipv6')
  for (const entry of list) {
    const [address = '', bits, ...rest] = entry.split('/')
    const version = isIP(address)
    const most = version === 4 ? 32 : 128
    const valid = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most)
    if (version === 0 || !valid || rest.length > 0) {
      throw usageError(`--trust-proxy ${entry}: give an address or a CIDR such as 10.0.0.0/8`)
    }
    const family = version === 4 ? 'ipv4' : 'ipv6'
    trusted.addSubnet(address, bits === undefined ? most : Number(bits), family)
  }
  const isTrusted = (address: string): boolean => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
    const version = isIP(plain)
    return version !== 0 && trusted.check(plain, version === 4 ? 'ipv4' : 'ipv6')
  }
  // The list is slow to ask, and asked for every request of a connection.
  const known = new Map<string, boolean>()
  return (address) => {
    if (address === undefined) return false
    const before = known.get(address)
    if (before !== undefined) return before
    if (known.size >= MAX_KNOWN) known.clear()
    const answer = isTrusted(address)
    known.set(address, answer)
    return answer
  }
}

/** How many addresses are remembered. */
const MAX_KNOWN = 1000
