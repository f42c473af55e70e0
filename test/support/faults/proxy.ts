// A TCP proxy between the operator and the API server that can cut all connections, refuse new ones, or let the old ones fall silent. TLS
// passes through it untouched, so that certificates and HTTP/2 are the real ones.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { listening } from '../listening.ts'

export interface TcpProxy {
  /** path of a copy of the kubeconfig that goes through the proxy */
  readonly kubeconfig: string
  /** connections opened since the start */
  opened(): number
  /** Cuts all connections and refuses new ones until `allow`. */
  refuse(): void
  allow(): void
  /** Connections that are open now pass nothing any more and stay open. New ones are as usual. */
  silence(): void
  close(): Promise<void>
}

/** @param copy where to write the kubeconfig */
export async function startProxy(kubeconfig: string, copy: string): Promise<TcpProxy> {
  const config = JSON.parse(readFileSync(kubeconfig, 'utf8'))
  const target = new URL(config.clusters[0].cluster.server)
  const sockets = new Set<Socket>()
  let opened = 0
  let refusing = false

  const server = createServer((near) => {
    if (refusing) {
      near.resetAndDestroy()
      return
    }
    opened += 1
    const far = connect(Number(target.port || 443), target.hostname)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.pipe(other)
      socket.on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
  })
  const through = `https://127.0.0.1:${await listening(server)}`
  for (const { cluster } of config.clusters) Object.assign(cluster, { server: through, 'tls-server-name': target.hostname })
  writeFileSync(copy, JSON.stringify(config), { mode: 0o600 })

  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    kubeconfig: copy,
    opened: () => opened,
    refuse() {
      refusing = true
      cut()
    },
    allow() {
      refusing = false
    },
    silence() {
      for (const socket of sockets) {
        socket.unpipe()
        // read and forgotten, as by a machine that is gone behind a load balancer
        socket.resume()
      }
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
