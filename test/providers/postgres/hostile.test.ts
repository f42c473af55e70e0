// What calls itself a PostgreSQL server and is none, as the server of a namespace may be: nothing of it fills memory or holds on for long.

import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createWire, type Wire } from '../../../src/providers/postgres/wire.ts'
import { makeCertificates } from '../../cluster/certificates.ts'

let pems: { readonly ca: string; readonly cert: Buffer; readonly key: Buffer }
let wire: Wire
const servers: Server[] = []
const sockets = new Set<Socket>()
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hostile-'))
  const { ca } = await makeCertificates(folder, undefined, { hostile: { subject: '/CN=localhost', names: ['DNS:localhost'] } })
  pems = { ca, cert: await readFile(join(folder, 'hostile.crt')), key: await readFile(join(folder, 'hostile.key')) }
  await rm(folder, { recursive: true })
  wire = createWire(
    [],
    Object.assign(() => undefined, {}),
  )
}, 60_000)
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  await wire.close()
})

async function hostile(answer: (secure: TLSSocket, bytes: Buffer) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write('S')
      const secure = new TLSSocket(socket, { isServer: true, cert: pems.cert, key: pems.key })
      secure.on('error', () => undefined)
      secure.on('data', (bytes: Buffer) => answer(secure, bytes))
    })
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

const place = (port: number) => ({
  ...{ host: 'localhost', port, database: 'postgres', caBundle: pems.ca, allowedAddresses: undefined },
  login: { username: 'u', password: 'p' },
})
const megabyte = Buffer.alloc(1 << 20, 0x41)
function flood(secure: TLSSocket, first: Buffer): void {
  secure.write(first)
  const more = (): void => {
    while (!secure.destroyed && secure.write(megabyte));
  }
  secure.on('drain', more)
  more()
}
/** one message of two gigabytes */
const endless = (type: string): Buffer => Buffer.concat([Buffer.from(type), Buffer.from([0x7f, 0xff, 0xff, 0xff])])
const loggedIn = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])

const isQuestion = (bytes: Buffer): boolean => bytes[0] === 0x51 || bytes[0] === 0x50

test('a connection that is reset in the midst of a question is that question’s failure, and no more', async () => {
  const port = await hostile((secure, bytes) => {
    if (!isQuestion(bytes)) return void secure.write(loggedIn)
    for (const socket of sockets) socket.resetAndDestroy()
  })
  expect(await wire.query(place(port), 'select 1', 10_000)).toMatchObject({ ok: false, failure: { state: undefined } })
})

test.each([
  ['instead of a login', (secure: TLSSocket) => flood(secure, endless('R'))],
  [
    'as the answer to a question',
    (secure: TLSSocket, bytes: Buffer) => (isQuestion(bytes) ? flood(secure, endless('D')) : void secure.write(loggedIn)),
  ],
])(
  'a message without end, %s, is cut short',
  async (_, answer) => {
    const port = await hostile(answer)
    const before = process.memoryUsage().rss
    const begun = performance.now()
    const asked = await wire.query(place(port), 'select 1', 10_000)
    expect(asked).toMatchObject({ ok: false, failure: { state: undefined, sentence: 'the server sends more than it was asked for' } })
    expect(performance.now() - begun).toBeLessThan(8_000)
    expect((process.memoryUsage().rss - before) / (1 << 20)).toBeLessThan(400)
  },
  30_000,
)
