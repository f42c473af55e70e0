import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createGuard } from '../../src/outbound/addresses.ts'
import { guardedLookup, guardedSocket } from '../../src/outbound/dial.ts'

let server: Server
let port: number
let connections = 0
beforeAll(async () => {
  server = createServer((socket) => {
    connections += 1
    socket.on('error', () => undefined).end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(() => void server.close())

/** A resolver that answers with the next list at each question. */
function resolver(...answers: readonly (readonly string[])[]) {
  let asked = 0
  const lookup = (_host: string, _options: unknown, callback: (error: null, all: unknown) => void): void => {
    const addresses = answers[Math.min(asked++, answers.length - 1)] ?? []
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return { lookup: lookup as never, asked: () => asked }
}

async function reach(guard: ReturnType<typeof createGuard>, host: string, lookup?: never): Promise<string> {
  const socket = guardedSocket(guard, lookup)
  const done = Promise.race([once(socket, 'connect').then(() => 'connected'), once(socket, 'error').then(([error]) => String(error))])
  socket.connect(port, host)
  const result = await done.catch((error: Error) => String(error))
  socket.destroy()
  return result
}

describe('a socket', () => {
  const strict = createGuard([], [])
  const own = createGuard([], ['127.0.0.1'])

  test('goes nowhere but where the guard lets it, by name and by address', async () => {
    const before = connections
    expect(await reach(strict, '127.0.0.1')).toMatch(/address 127\.0\.0\.1 is of this machine itself; list it in .*allowedAddresses/)
    expect(await reach(strict, 'localhost')).toMatch(/`localhost` resolves to (127\.0\.0\.1|::1), which is of this machine itself/)
    expect(await reach(strict, 'db.example', resolver(['10.0.0.1', '127.0.0.1']).lookup)).toContain('resolves to 127.0.0.1')
    expect(connections).toBe(before)
    expect(await reach(own, '127.0.0.1')).toBe('connected')
    expect(await reach(own, 'db.example', resolver(['127.0.0.1']).lookup)).toBe('connected')
  })

  test('resolves a name once: what was looked at is what is connected to', async () => {
    const rebinding = resolver(['127.0.0.1'], ['169.254.169.254'])
    expect(await reach(own, 'db.example', rebinding.lookup)).toBe('connected')
    expect(rebinding.asked()).toBe(1)
  })

  test('says what a resolver said where a name is not known', async () => {
    const lookup = ((_host: string, _options: unknown, callback: (error: Error) => void) =>
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))) as never
    expect(await reach(own, 'nowhere.example', lookup)).toContain('ENOTFOUND')
  })
})

test('the same lookup guards an HTTP request, whatever form of answer it asks for', async () => {
  const ask = (guard: ReturnType<typeof createGuard>, autoSelectFamily: boolean): Promise<string> =>
    new Promise((resolve) => {
      const lookup = guardedLookup(guard, resolver(['127.0.0.1']).lookup)
      request({ host: 'api.example', port, agent: false, lookup, ...{ autoSelectFamily } })
        .on('response', (answer) => resolve(String(answer.resume().statusCode)))
        .on('error', (error) => resolve(String(error)))
        .end()
    })
  for (const auto of [true, false]) {
    expect(await ask(createGuard([], ['127.0.0.0/8']), auto)).toBe('204')
    expect(await ask(createGuard([], []), auto)).toContain('which is of this machine itself')
  }
})
