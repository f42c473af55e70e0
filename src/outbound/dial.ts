// How the operator connects to a source: a name is resolved once, every address that comes out is looked at, and one of those is connected
// to, so that what was checked is what is reached. No proxy, and nothing of the environment, has a say.

import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction, Socket } from 'node:net'
import type { Guard } from './addresses.ts'

/** An address that may not be connected to. Its message names the address, which the provider's author may see. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code = 'ERR_ADDRESS_REFUSED'
}

const refusal = (host: string, address: string, why: string, guard: Guard): Refused =>
  new Refused(
    `${host === address ? `address ${address}` : `\`${host}\` resolves to ${address}, which`} ${why}; ${guard.advice ?? "list it in the provider's `allowedAddresses` if that is meant"}`,
  )

/** A literal address is never looked up: it is looked at before anything is connected to. */
export function refuseLiteral(guard: Guard, host: string): Refused | undefined {
  const why = isIP(host) === 0 ? undefined : guard(host)
  return why === undefined ? undefined : refusal(host, host, why, guard)
}

/** A `lookup` for `net`, `tls` and `https`. A name of which one address is refused is refused: which one is taken would be chance. */
export function guardedLookup(guard: Guard, lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      const all = error === null ? addresses : []
      const bad = all.map(({ address }) => [address, guard(address)] as const).find(([, why]) => why !== undefined)
      if (error !== null) callback(error, '', 0)
      else if (bad !== undefined) callback(refusal(host, bad[0], bad[1] ?? '', guard), '', 0)
      else if (options.all === true) callback(null, all)
      else callback(null, all[0]?.address ?? '', all[0]?.family ?? 0)
    })
  }
}

/** A socket whose `connect(port, host)` goes only where the guard lets it. */
export function guardedSocket(guard: Guard, lookup?: typeof systemLookup): Socket {
  const socket = new Socket()
  const connect = socket.connect.bind(socket)
  const guarded = (port: number, host: string): Socket => {
    const refused = refuseLiteral(guard, host)
    if (refused !== undefined) return socket.destroy(refused)
    return connect({ port, host, lookup: guardedLookup(guard, lookup) })
  }
  return Object.assign(socket, { connect: guarded }) as Socket
}
