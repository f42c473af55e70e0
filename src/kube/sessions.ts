// Keeps a few HTTP/2 sessions to the API server, opened when needed and replaced when they break, drain or fall silent.
// It never sends a request itself and never opens a session while another has room.

import { type ClientHttp2Session, connect } from 'node:http2'
import { seconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { KubeConnection } from './connection.ts'
import { type TransportError, transportError } from './errors.ts'
import type { Timers } from './timers.ts'

const connectLimit = seconds(10)
const pingEvery = seconds(30)
const pingLimit = seconds(15)
/** what API servers allow; also used until their SETTINGS arrive */
const usualStreams = 100
const streamWindow = 1 << 20
/** wide enough that some unread streams never hold up the others of the same session */
const sessionWindow = 1 << 25

/** A session with room for one more stream. `release` must be called when that stream has closed. */
export interface Lent {
  readonly session: ClientHttp2Session
  release(): void
  /** The session is in doubt (a request on it got no answer): it is pinged now and used last until it answers. */
  suspect(): void
}

export interface Sessions {
  lend(): Promise<Result<Lent, TransportError>>
  close(): void
  /** connections opened since the start */
  opened(): number
}

interface Slot {
  readonly session: ClientHttp2Session
  readonly connected: Promise<string | undefined>
  streams: number
  ready: boolean
  doubted: boolean
  ping(): void
}

export function createSessions(deps: { readonly connection: KubeConnection; readonly timers: Timers; readonly limit: number }): Sessions {
  const { connection, timers, limit } = deps
  const slots = new Set<Slot>()
  let opening: Promise<Result<Slot, TransportError>> | undefined
  let roomMade = Promise.withResolvers<void>()
  let openedCount = 0
  let closed = false

  const announceRoom = (): void => {
    roomMade.resolve()
    roomMade = Promise.withResolvers<void>()
  }

  // a GOAWAY closes a session for new streams and lets the others finish
  const hasRoom = (slot: Slot): boolean =>
    !slot.session.closed && slot.streams < (slot.session.remoteSettings?.maxConcurrentStreams ?? usualStreams)

  function best(): Slot | undefined {
    let found: Slot | undefined
    for (const slot of slots) {
      if (!slot.ready || !hasRoom(slot)) continue
      if (found === undefined || rank(slot) < rank(found)) found = slot
    }
    return found
  }

  async function open(): Promise<Result<Slot, TransportError>> {
    const identity = await connection.tls().catch((error: unknown) => (error instanceof Error ? error : new Error('unknown')))
    if (identity instanceof Error) return fail(transportError('connection', `no credentials: ${identity.message}`, false))
    if (closed) return fail(transportError('connection', 'the client was closed', false))
    openedCount += 1
    const slot = watchOver(
      connect(new URL(connection.server).origin, {
        ALPNProtocols: ['h2'],
        settings: { enablePush: false, initialWindowSize: streamWindow },
        ...(identity.ca === undefined ? {} : { ca: identity.ca }),
        ...(identity.cert === undefined ? {} : { cert: identity.cert }),
        ...(identity.key === undefined ? {} : { key: identity.key }),
        ...(identity.servername === undefined ? {} : { servername: identity.servername }),
      }),
    )
    const problem = await slot.connected
    return problem === undefined ? ok(slot) : fail(transportError('connection', problem, false))
  }

  function watchOver(session: ClientHttp2Session): Slot {
    const connected = Promise.withResolvers<string | undefined>()
    let why = 'the connection was closed'
    let cancelPing = (): void => {}
    const cancelConnect = timers.after(connectLimit, () => {
      why = `no connection within ${connectLimit / 1000} s`
      session.destroy()
    })
    const slot: Slot = { session, connected: connected.promise, streams: 0, ready: false, doubted: false, ping }
    slots.add(slot)

    function ping(): void {
      cancelPing()
      if (session.destroyed || session.closed) return
      const cancelLimit = timers.after(pingLimit, () => session.destroy(new Error('no answer to a ping')))
      cancelPing = cancelLimit
      try {
        session.ping((error) => {
          cancelLimit()
          if (error !== null) return
          slot.doubted = false
          cancelPing = timers.after(pingEvery, ping)
        })
      } catch {
        // the session went away in this very moment; its `close` handler cleans up
      }
    }

    session.once('connect', () => {
      cancelConnect()
      session.setLocalWindowSize(sessionWindow)
      slot.ready = true
      cancelPing = timers.after(pingEvery, ping)
      connected.resolve(undefined)
    })
    session.on('remoteSettings', announceRoom)
    session.on('error', (error) => {
      why = error.message
    })
    session.once('close', () => {
      cancelConnect()
      cancelPing()
      slots.delete(slot)
      connected.resolve(why)
      announceRoom()
    })
    return slot
  }

  function lendOf(slot: Slot): Lent {
    let held = true
    slot.streams += 1
    return {
      session: slot.session,
      release() {
        if (!held) return
        held = false
        slot.streams -= 1
        announceRoom()
      },
      suspect() {
        if (slot.doubted) return
        slot.doubted = true
        slot.ping()
      },
    }
  }

  return {
    async lend() {
      for (;;) {
        if (closed) return fail(transportError('connection', 'the client was closed', false))
        const slot = best()
        const healthy = [...slots].filter((one) => !one.session.closed)
        const mayOpen = healthy.length < limit
        if (slot !== undefined && !(slot.doubted && mayOpen)) return ok(lendOf(slot))
        if (opening === undefined && !mayOpen) {
          await roomMade.promise
          continue
        }
        opening ??= open().finally(() => {
          opening = undefined
        })
        const opened = await opening
        if (!opened.ok) return slot === undefined ? opened : ok(lendOf(slot))
      }
    },
    close() {
      closed = true
      for (const slot of slots) slot.session.destroy()
      announceRoom()
    },
    opened: () => openedCount,
  }
}

function rank(slot: Slot): number {
  return slot.streams + (slot.doubted ? 1e6 : 0)
}
