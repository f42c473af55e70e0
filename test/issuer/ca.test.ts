import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { type Authority, generateAuthority, issueServing, loadOrCreateAuthority } from '../../src/issuer/ca.ts'
import type { KeyStore } from '../../src/issuer/key-store.ts'
import type { Names } from '../../src/issuer/x509.ts'
import { at } from '../../src/lib/instant.ts'
import { Material } from '../../src/lib/material.ts'
import { ok } from '../../src/lib/result.ts'
import { entropy, text } from './world.ts'

const names: Names = { dns: ['issuer.example', 'taskbound.taskbound-system.svc'], ips: [] }
const now = at(Date.now())
const authority = generateAuthority(names, now, entropy)

/** What a TLS client that trusts only this authority says to a server with a certificate for `names`. */
async function handshake(trusted: Authority, signed: Authority, certified: Names, servername: string): Promise<string> {
  const serving = issueServing(signed, certified, now, entropy)
  const server = createServer({ cert: serving.certificate, key: text(serving.key) }, (socket) => socket.end())
  server.on('tlsClientError', () => {})
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  try {
    return await new Promise((done) => {
      const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername, ca: trusted.certificate }, () => {
        socket.destroy()
        done('accepted')
      })
      socket.on('error', (error) => done(error.message))
    })
  } finally {
    await new Promise((done) => server.close(done))
  }
}

describe('the certificate authority', () => {
  test('vouches for the names of the issuer', async () => {
    expect(await handshake(authority, authority, names, 'issuer.example')).toBe('accepted')
    expect(await handshake(authority, authority, names, 'taskbound.taskbound-system.svc')).toBe('accepted')
  })

  test.each<[string, Names, string]>([
    ['another host', { dns: ['payroll.example'], ips: [] }, 'payroll.example'],
    ['a host whose name only ends alike', { dns: ['evilissuer.example'], ips: [] }, 'evilissuer.example'],
    ['its own host and another one', { dns: ['issuer.example', 'kubernetes.default.svc'], ips: [] }, 'issuer.example'],
    ['an address', { dns: ['issuer.example'], ips: ['127.0.0.1'] }, 'issuer.example'],
  ])('cannot vouch for %s', async (_name, certified, servername) => {
    expect(await handshake(authority, authority, certified, servername)).toMatch(/(permitted|excluded) subtree violation/)
  })

  test('does not pass for another authority', async () => {
    expect(await handshake(generateAuthority(names, now, entropy), authority, names, 'issuer.example')).toMatch(
      /unable to verify the first certificate/,
    )
  })

  test('permits an address where one is named, and no other', async () => {
    const local: Names = { dns: ['localhost'], ips: ['127.0.0.1'] }
    const dev = generateAuthority(local, now, entropy)
    expect(await handshake(dev, dev, local, 'localhost')).toBe('accepted')
    expect(await handshake(dev, dev, { dns: ['localhost'], ips: ['10.0.0.1'] }, 'localhost')).toMatch(/permitted subtree violation/)
  })

  test('makes certificates that openssl verifies', () => {
    const folder = mkdtempSync(join(tmpdir(), 'taskbound-ca-'))
    try {
      const [ca, leaf] = [join(folder, 'ca.pem'), join(folder, 'leaf.pem')]
      writeFileSync(ca, authority.certificate)
      writeFileSync(leaf, issueServing(authority, names, now, entropy).certificate)
      const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'issuer.example', '-CAfile', ca, leaf]
      expect(execFileSync('openssl', verify, { encoding: 'utf8' })).toContain('OK')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('is read back as it was stored, and never replaced when it cannot be read', async () => {
    let stored: Material | undefined
    const store: KeyStore = {
      read: async () => ok(stored),
      create: async (document) => {
        stored ??= document
        return ok('created')
      },
    }
    const made = await loadOrCreateAuthority(store, () => authority)
    const read = await loadOrCreateAuthority(store, () => generateAuthority(names, now, entropy))
    expect(made.ok && read.ok && made.value.certificate === read.value.certificate).toBe(true)
    stored = new Material('{"version":1}')
    expect((await loadOrCreateAuthority(store, () => authority)).ok).toBe(false)
  })
})
