// Between the provider and a real Vault: hands calls on, and does not hand on the answers it is told to lose. TLS ends here and begins
// again, so that what is lost is an answer and not a connection.

import { once } from 'node:events'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generateAuthority, issueServing } from '../../../src/issuer/ca.ts'
import { at } from '../../../src/lib/instant.ts'
import { entropy } from '../../issuer/world.ts'
import type { Vault } from '../../support/vault/server.ts'

export interface Lossy {
  readonly address: string
  readonly caBundle: string
  /** calls so far, such as `POST auth/jwt/login` */
  readonly calls: string[]
  /**
   * `lost`: it is done at the server, and its answer lost. `cut`: it never gets there.
   * @param n of the call, from 0
   */
  fate: (n: number, call: string) => 'lost' | 'cut' | undefined
  /** called once the server has answered, before anybody hears of it */
  answered: (call: string) => void
  close(): Promise<void>
}

export async function startLossy(vault: Vault): Promise<Lossy> {
  const names = { dns: ['localhost'], ips: [] }
  const now = at(Date.now())
  const authority = generateAuthority(names, now, entropy)
  const { certificate, key } = issueServing(authority, names, now, entropy)
  const calls: string[] = []
  const server = createServer({ cert: certificate, key: new TextDecoder().decode(key.reveal()) }, async (near, answer) => {
    const call = `${near.method} ${(near.url ?? '').slice('/v1/'.length)}`
    const fate = lossy.fate(calls.push(call) - 1, call)
    const body = Buffer.concat(await near.toArray())
    if (fate === 'cut') return void answer.destroy()
    const { host: _, ...headers } = near.headers
    const far = request(`${vault.address}${near.url}`, { method: near.method, headers, ca: vault.ca, agent: false })
    far.on('error', () => answer.destroy())
    far.end(body)
    const [got] = await once(far, 'response')
    const text = Buffer.concat(await got.toArray())
    lossy.answered(call)
    if (fate === 'lost') return void answer.destroy()
    answer.writeHead(got.statusCode ?? 0, got.headers)
    answer.end(text)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const lossy: Lossy = {
    address: `https://localhost:${(server.address() as AddressInfo).port}`,
    caBundle: authority.certificate,
    calls,
    fate: () => undefined,
    answered: () => undefined,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return lossy
}
