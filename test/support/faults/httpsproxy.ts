// Before a source that speaks HTTPS: hands calls on, and does with each what the gate says. What is held before it is handed on arrives late,
// even if who sent it is gone.

import { once } from 'node:events'
import { createServer, request } from 'node:https'
import { ownCertificate } from '../certificate.ts'
import { listening } from '../listening.ts'
import type { Call, Gate } from './gate.ts'

/** Where a source is reached. */
export interface Reached {
  /** `https://host:port` */
  readonly address: string
  readonly caBundle: string
}

export interface HttpsProxy extends Reached {
  readonly port: number
  close(): Promise<void>
}

/**
 * @param to what the gate calls the source
 * @param target `https://host:port`
 */
export async function startHttpsProxy(gate: Pick<Gate, 'before' | 'after'>, to: string, target: string, ca: string): Promise<HttpsProxy> {
  const { cert, key, ca: caBundle } = ownCertificate()
  const server = createServer({ cert, key }, async (near, answer) => {
    near.on('error', () => undefined)
    const body = Buffer.concat(await near.toArray())
    const call: Call = { to, what: `${near.method} ${near.url} ${body.toString()}` }
    if ((await gate.before(call)) === 'cut') return void answer.destroy()
    const { host: _, ...headers } = near.headers
    const far = request(`${target}${near.url}`, { method: near.method, headers, ca, agent: false })
    far.on('error', () => answer.destroy())
    far.end(body)
    const [got] = await once(far, 'response')
    const text = Buffer.concat(await got.toArray())
    if ((await gate.after(call)) === 'cut') return void answer.destroy()
    answer.writeHead(got.statusCode ?? 0, got.headers)
    answer.end(text)
  })
  const port = await listening(server)
  return {
    port,
    address: `https://localhost:${port}`,
    caBundle,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
