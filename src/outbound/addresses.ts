// Which addresses the operator may connect to for a provider. A provider's host is a name that somebody else resolves, so what counts is
// the address that comes out: the machine's own, the link's, the cluster's inside are refused unless the provider object lists them.

import { BlockList, isIP } from 'node:net'

/** Why it may not be connected to, as words that follow the address; `undefined` where it may. */
export interface Guard {
  (address: string): string | undefined
  /** what to do where it is meant; default: list it in the provider object */
  readonly advice?: string
}

interface Range {
  readonly what: string
  readonly networks: readonly string[]
}

/** IANA's special-purpose registries (RFC 6890), but for private networks (RFC 1918, RFC 4193), where databases and vaults are. */
const special: readonly Range[] = [
  { what: 'is of this machine itself', networks: ['0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128'] },
  // where clouds answer with credentials: 169.254.169.254, fd00:ec2::254, and Alibaba's 100.100.100.200
  { what: 'is of the link or of a metadata service', networks: ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32', '100.100.100.200/32'] },
  {
    what: 'is no address of one server',
    networks: ['192.0.0.0/24', '192.0.2.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/3', 'ff00::/8', '100::/64'],
  },
  // they stand for another address that nobody would look at
  { what: 'is of a transition mechanism', networks: ['2001::/32', '2002::/16', '64:ff9b:1::/48', '192.88.99.0/24'] },
]
const translated = '64:ff9b::/96'

/** A network in CIDR notation, or one address. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more !== undefined || address.includes('%')) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** What is wrong with a provider's `allowedAddresses`, or `undefined`. */
export function judgeNetworks(allowed: readonly string[] | undefined): string | undefined {
  const network = allowed?.find((entry) => !isNetwork(entry))
  return network === undefined
    ? undefined
    : `\`allowedAddresses\` holds \`${network}\`, which is no address and no network such as \`10.1.0.0/16\``
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  return list
}

/** `list.check` takes an IPv4 address that is written as IPv6 (`::ffff:127.0.0.1`) for the IPv4 address that it is. */
const has = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** The IPv4 address that a NAT64 (RFC 6052) will connect to. */
function meant(address: string, nat64: BlockList): string {
  if (isIP(address) !== 6 || !has(nat64, address)) return address
  // the URL parser writes an IPv6 address in one way only
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(':')
  const [high = 0, low = 0] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16))
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/**
 * @param inside networks of the cluster and the address of its API server
 * @param allowed networks that the provider object lists: they win
 */
export function createGuard(inside: readonly string[], allowed: readonly string[]): Guard {
  const refused = [...special, { what: 'is inside the cluster', networks: inside }].map(({ what, networks }) => ({
    what,
    list: listOf(networks),
  }))
  const [listed, nat64] = [listOf(allowed), listOf([translated])]
  return (address) => {
    const plain = address.split('%')[0] ?? ''
    if (isIP(plain) === 0) return 'is no address'
    const target = meant(plain, nat64)
    if (has(listed, target)) return undefined
    return refused.find(({ list }) => has(list, target))?.what
  }
}

/** Where a provider of the cluster may have its source without saying more, and one of a namespace may not: other people's servers. */
const privateNetworks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']

/**
 * For providers whose authors may open nothing: public addresses only, and what whoever runs the operator lists for all of them.
 * @param inside networks of the cluster and the address of its API server
 */
export function createNamespaceGuard(inside: readonly string[], listed: readonly string[]): Guard {
  const [guard, near, may] = [createGuard(inside, listed), listOf(privateNetworks), listOf(listed)]
  const judge = (address: string): string | undefined => {
    const why = guard(address)
    if (why !== undefined) return why
    const target = meant(address.split('%')[0] ?? '', listOf([translated]))
    return has(near, target) && !has(may, target) ? 'is of a private network' : undefined
  }
  return Object.assign(judge, {
    advice: 'if providers of namespaces may go there, whoever runs the operator lists it in `--namespace-provider-addresses`',
  })
}
