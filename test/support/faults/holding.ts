// A TCP proxy before a database that can hold back what was sent, as a network does that delivers late: the server gets it when it is
// released, even if who sent it has gone away meanwhile. It can also refuse connections, or swallow everything.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { listening } from '../listening.ts'

export interface HoldingProxy {
  readonly port: number
  /**
   * What comes from clients over the connections that are open now is kept. New connections are as usual.
   * @param passing so many pieces of each connection are still let through; default none
   */
  hold(passing?: number): void
  /** The server gets what was kept. */
  release(): void
  /** Cuts all connections and refuses new ones until `allow`. */
  refuse(): void
  /** The same for new ones alone: what was kept can still be released. */
  refuseNew(): void
  /** Nothing passes any more, in either direction, and nothing is refused: a black hole, until `allow`. */
  swallow(): void
  allow(): void
  close(): Promise<void>
}

interface Pair {
  readonly near: Socket
  readonly far: Socket
  held: Buffer[] | undefined
  passing: number
}

export async function startHoldingProxy(target: number): Promise<HoldingProxy> {
  const pairs = new Set<Pair>()
  const swallowed = new Set<Socket>()
  let mode: 'pass' | 'refuse' | 'swallow' = 'pass'

  const server = createServer({ allowHalfOpen: true }, (near) => {
    near.on('error', () => undefined)
    if (mode === 'refuse') return near.resetAndDestroy()
    if (mode === 'swallow') {
      swallowed.add(near)
      near.once('close', () => swallowed.delete(near))
      return void near.resume()
    }
    const far = connect(target, '127.0.0.1')
    far.on('error', () => undefined)
    const pair: Pair = { near, far, held: undefined, passing: 0 }
    pairs.add(pair)
    near.on('data', (data) => {
      if (mode === 'swallow') return
      if (pair.held === undefined || pair.passing > 0) {
        pair.passing -= 1
        far.write(data)
      } else pair.held.push(data)
    })
    far.on('data', (data) => {
      if (mode !== 'swallow') near.write(data)
    })
    near.once('close', () => {
      // what is on its way still arrives
      if (pair.held === undefined) end(pair)
    })
    far.once('close', () => end(pair))
    return undefined
  })

  function end(pair: Pair): void {
    pairs.delete(pair)
    pair.near.destroy()
    pair.far.destroy()
  }
  function cut(): void {
    for (const socket of swallowed) socket.resetAndDestroy()
    for (const pair of [...pairs]) {
      pair.near.resetAndDestroy()
      pair.far.resetAndDestroy()
      pairs.delete(pair)
    }
  }
  return {
    port: await listening(server),
    hold(passing = 0) {
      for (const pair of pairs) {
        pair.held ??= []
        pair.passing = passing
      }
    },
    release() {
      for (const pair of pairs) {
        const kept = pair.held ?? []
        pair.held = undefined
        for (const data of kept) pair.far.write(data)
        if (pair.near.destroyed) pair.far.end()
      }
    },
    refuse() {
      mode = 'refuse'
      cut()
    },
    refuseNew() {
      mode = 'refuse'
    },
    swallow() {
      mode = 'swallow'
    },
    allow() {
      if (mode === 'swallow') cut()
      mode = 'pass'
    },
    async close() {
      mode = 'refuse'
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
