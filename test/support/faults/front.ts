// One address for several replicas, as a Service is: connections go to the one that it is told. It hears nothing of what passes.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { listening } from '../listening.ts'

export interface Front {
  readonly port: number
  /** port of the replica; what is connected already stays where it is */
  target: number
  close(): Promise<void>
}

export async function startFront(): Promise<Front> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(front.target, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.pipe(other)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
  })
  const front: Front = {
    port: await listening(server),
    target: 0,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return front
}
