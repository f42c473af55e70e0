// The operator's own certificate authority, for issuers that are served over TLS without an Ingress or Gateway.
// Its key can vouch for the issuer's names only. Publishing its certificate and storing its document is the caller's business.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { at, type Duration, type Instant, minus, plus, seconds } from '../lib/instant.ts'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Entropy } from '../ports/entropy.ts'
import { type KeyStore, loadOrCreateDocument } from './key-store.ts'
import { makeAuthority, makeKey, makeServing, type Names } from './x509.ts'

export interface Authority {
  /** PEM, public */
  readonly certificate: string
  /** PEM */
  readonly key: Material
}

export interface Serving {
  /** PEM: the server's certificate */
  readonly certificate: string
  readonly key: Material
  readonly renewAt: Instant
}

const day: Duration = seconds(24 * 3600)
const authorityLife = (3650 * day) as Duration
const servingLife = (30 * day) as Duration
/** Clocks of verifiers may be behind ours. */
const skew: Duration = seconds(300)

const serial = (entropy: Entropy): Uint8Array => {
  const bytes = entropy.bytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

const pem = (key: ReturnType<typeof makeKey>): Material => new Material(key.export({ format: 'pem', type: 'pkcs8' }) as string)

/** Makes an authority for these names and what is below them in DNS. Ten years. */
export function generateAuthority(names: Names, now: Instant, entropy: Entropy): Authority {
  const key = makeKey()
  const validity = { from: minus(now, skew), to: plus(now, authorityLife) }
  return { certificate: makeAuthority(key, names, validity, serial(entropy)), key: pem(key) }
}

/** Makes a server certificate, for 30 days, to be renewed after 20. Never outlives its authority. */
export function issueServing(authority: Authority, names: Names, now: Instant, entropy: Entropy): Serving {
  const key = makeKey()
  const end = at(Math.min(plus(now, servingLife), Date.parse(new X509Certificate(authority.certificate).validTo)))
  const certificate = makeServing(createPrivateKey(reveal(authority.key)), key, names, { from: minus(now, skew), to: end }, serial(entropy))
  return { certificate, key: pem(key), renewAt: plus(now, ((servingLife * 2) / 3) as Duration) }
}

/** As `loadOrCreate` of the signing keys. */
export const loadOrCreateAuthority = (store: KeyStore, generate: () => Authority): Promise<Result<Authority, string>> =>
  loadOrCreateDocument(store, { what: 'the certificate authority and its key', generate, format: formatAuthority, parse: parseAuthority })

function formatAuthority({ certificate, key }: Authority): Material {
  return new Material(JSON.stringify({ version: 1, certificate, key: reveal(key) }))
}

function parseAuthority(document: Material): Result<Authority, string> {
  try {
    const { version, certificate, key } = JSON.parse(reveal(document)) as Record<string, unknown>
    const known = version === 1 && typeof certificate === 'string' && typeof key === 'string'
    if (!known || !new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
      return fail('the certificate authority and its key do not belong together')
    }
    return ok({ certificate, key: new Material(key) })
  } catch {
    return fail('the certificate authority cannot be read')
  }
}

const reveal = (material: Material): string => new TextDecoder().decode(material.reveal())
