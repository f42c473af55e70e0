// Before a PostgreSQL: reads the statements as they pass (protocol 3.0, the frontend's messages Q, P and B) and does with each what the gate
// says. A statement is answered when the server is ready for the next one, so what it did is committed by then.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls'
import { ownCertificate } from '../certificate.ts'
import { listening } from '../listening.ts'
import type { Call, Gate } from './gate.ts'

export interface SqlProxy {
  readonly port: number
  readonly ca: string
  close(): Promise<void>
}

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
const readyForQuery = 0x5a

/** The messages that are whole, and the rest. The first one of a frontend has no type. */
function messages(bytes: Buffer, untyped: boolean): { readonly whole: readonly Buffer[]; readonly rest: Buffer } {
  const whole: Buffer[] = []
  let at = 0
  for (let head = untyped ? 0 : 1; at + head + 4 <= bytes.length; head = 1) {
    const length = head + bytes.readUInt32BE(at + head)
    if (at + length > bytes.length) break
    whole.push(bytes.subarray(at, at + length))
    at += length
  }
  return { whole, rest: bytes.subarray(at) }
}

const text = (bytes: Buffer, from: number): string => bytes.toString('utf8', from, bytes.indexOf(0, from))

/** @param to what the gate calls the server */
export async function startSqlProxy(gate: Gate, to: string, target: { readonly port: number; readonly ca: string }): Promise<SqlProxy> {
  const own = ownCertificate()
  const secureContext = createSecureContext({ cert: own.cert, key: own.key })
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  }

  async function upstream(): Promise<TLSSocket> {
    const raw = connect(target.port, '127.0.0.1')
    keep(raw)
    await once(raw, 'connect')
    raw.write(sslRequest)
    await once(raw, 'data')
    const secure = connectTls({ socket: raw, ca: target.ca, servername: 'localhost' })
    keep(secure)
    await once(secure, 'secureConnect')
    return secure
  }

  async function serve(raw: Socket): Promise<void> {
    keep(raw)
    await once(raw, 'data')
    raw.write('S')
    const near = new TLSSocket(raw, { isServer: true, secureContext })
    keep(near)
    const far = await upstream()
    const end = (): void => {
      near.destroy()
      far.destroy()
    }
    const statements = new Map<string, string>()
    let [gone, untyped] = [false, true]
    let [asked, answered]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)]
    let answering: Call | undefined
    let turn = Promise.resolve()
    let reply = Promise.resolve()

    function statementOf(message: Buffer): string | undefined {
      const type = String.fromCharCode(message[0] ?? 0)
      if (type === 'Q') return text(message, 5)
      if (type === 'P') statements.set(text(message, 5), text(message, 5 + Buffer.byteLength(text(message, 5)) + 1))
      if (type !== 'B') return undefined
      return statements.get(text(message, 5 + Buffer.byteLength(text(message, 5)) + 1))
    }
    async function forward(message: Buffer, first: boolean): Promise<void> {
      const what = first ? undefined : statementOf(message)
      if (what !== undefined) {
        const call = { to, what }
        if ((await gate.before(call)) === 'cut') return end()
        answering = call
      }
      far.write(message)
    }
    async function handBack(message: Buffer): Promise<void> {
      const call = answering
      if (message[0] === readyForQuery && call !== undefined) {
        answering = undefined
        if ((await gate.after(call)) === 'cut') return end()
      }
      near.write(message)
    }
    near.on('data', (data: Buffer) => {
      const { whole, rest } = messages(Buffer.concat([asked, data]), untyped)
      asked = rest
      for (const message of whole) {
        const first = untyped
        untyped = false
        turn = turn.then(() => forward(message, first))
      }
    })
    far.on('data', (data: Buffer) => {
      const { whole, rest } = messages(Buffer.concat([answered, data]), false)
      answered = rest
      for (const message of whole) reply = reply.then(() => handBack(message))
    })
    near.once('close', () => {
      gone = true
      // what is held still arrives
      void turn.then(() => far.end())
    })
    far.once('close', () => void reply.then(() => (gone ? undefined : near.end())))
  }

  const server = createServer((raw) => void serve(raw).catch(() => raw.destroy()))
  return {
    port: await listening(server),
    ca: own.ca,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
