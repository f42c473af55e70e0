// A server that begins as PostgreSQL does, over TLS, asks for the password in the clear as a hostile one would, and keeps what it is sent.
// It knows no statement.

import { createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { listening } from './listening.ts'

export interface SqlSink {
  readonly port: number
  /** what each connection sent, as text */
  readonly received: readonly string[]
  close(): void
}

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.write(type, 0)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const askForPassword = message('R', int32(3))
const letIn = Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))])
const refuse = Buffer.concat([message('E', Buffer.from('SERROR\0C42501\0Mno\0\0')), message('Z', Buffer.from('I'))])

export async function startSqlSink(tls: { readonly cert: string; readonly key: string }): Promise<SqlSink> {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((plain) => {
    sockets.add(plain.on('error', () => undefined).once('close', () => sockets.delete(plain)))
    // SSLRequest is all that is sent before TLS
    plain.once('data', () => {
      plain.write('S')
      const socket = new TLSSocket(plain, { isServer: true, ...tls })
      let begun = false
      socket.on('error', () => undefined)
      socket.on('data', (data: Buffer) => {
        const isPassword = begun && data[0] === 'p'.charCodeAt(0)
        // without the head of the message
        received.push(data.subarray(begun ? 5 : 8).toString('utf8'))
        socket.write(begun ? (isPassword ? letIn : refuse) : askForPassword)
        begun = true
      })
    })
  })
  return {
    port: await listening(server),
    received,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
