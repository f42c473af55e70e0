// Asks the leading replica for the newest token of a status list. Its answer is verified by who asks, so the way to it needs no trust.

import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import type { FetchFromLeader, Published } from '../../issuer/statuslist/handed-on.ts'
import { hereHeader } from './routes.ts'

export interface LeaderAddress {
  /** for example `https://10.0.0.7:8443` */
  readonly origin: string
  /** name in the leader's certificate, where it is served over TLS */
  readonly servername?: string
  /** PEM of the authority that certifies it */
  readonly ca?: string
}

const timeoutMilliseconds = 3_000
const maxBytes = 65_536

/** @param leader where the leader is by the KubeLease; `undefined` while unknown or while it is this replica */
export function createLeaderClient(leader: () => LeaderAddress | undefined): FetchFromLeader {
  return async (uri) => {
    const address = leader()
    return address === undefined ? 'unavailable' : await ask(address, new URL(uri).pathname)
  }
}

function ask({ origin, servername, ca }: LeaderAddress, path: string): Promise<Published> {
  return new Promise((done) => {
    const url = new URL(origin)
    const options = {
      host: url.hostname,
      port: url.port,
      path,
      headers: { [hereHeader]: '1' },
      signal: AbortSignal.timeout(timeoutMilliseconds),
      ...(servername === undefined ? {} : { servername }),
      ...(ca === undefined ? {} : { ca }),
    }
    const request = (url.protocol === 'https:' ? requestTls : requestPlain)(options, (response) => {
      if (response.statusCode === 404) done('unknown')
      else if (response.statusCode !== 200) done('unavailable')
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > maxBytes) response.destroy()
      })
      response.on('end', () => done({ token: body }))
      response.on('close', () => done('unavailable'))
      response.on('error', () => done('unavailable'))
    })
    request.on('error', () => done('unavailable'))
    request.end()
  })
}
