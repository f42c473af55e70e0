// Two kinds of X.509 certificate (RFC 5280): an authority that can vouch for a few names only, and a server certificate below it.
// Not a general maker of certificates. ECDSA P-256 with SHA-256 throughout.

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'
import type { Instant } from '../lib/instant.ts'
import { der } from './der.ts'

export interface Names {
  readonly dns: readonly string[]
  /** IPv4 addresses */
  readonly ips: readonly string[]
}

export interface Validity {
  readonly from: Instant
  readonly to: Instant
}

const oid = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organization: '2.5.4.10',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

const algorithm = der.sequence(der.objectIdentifier(oid.ecdsaWithSha256))

export const makeKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

/** A self-signed authority whose critical name constraints permit nothing but these names; it cannot make further authorities. */
export function makeAuthority(key: KeyObject, names: Names, validity: Validity, serial: Uint8Array): string {
  return certificate({
    key: createPublicKey(key),
    signer: key,
    issuer: authorityName,
    subject: authorityName,
    validity,
    serial,
    extensions: [
      extension(oid.basicConstraints, true, der.sequence(der.boolean(true), der.integer(Buffer.from([0])))),
      extension(oid.keyUsage, true, der.bits(Buffer.from([0b0000_0110]), 1)),
      extension(oid.subjectKeyIdentifier, false, der.octets(keyId(createPublicKey(key)))),
      extension(oid.nameConstraints, true, nameConstraints(names)),
    ],
  })
}

/** A server certificate for these names. */
export function makeServing(authorityKey: KeyObject, key: KeyObject, names: Names, validity: Validity, serial: Uint8Array): string {
  return certificate({
    key: createPublicKey(key),
    signer: authorityKey,
    issuer: authorityName,
    subject: servingName,
    validity,
    serial,
    extensions: [
      extension(oid.basicConstraints, true, der.sequence()),
      extension(oid.keyUsage, true, der.bits(Buffer.from([0b1000_0000]), 7)),
      extension(oid.extKeyUsage, false, der.sequence(der.objectIdentifier(oid.serverAuth))),
      extension(oid.subjectKeyIdentifier, false, der.octets(keyId(createPublicKey(key)))),
      extension(oid.authorityKeyIdentifier, false, der.sequence(der.implicit(0, keyId(createPublicKey(authorityKey))))),
      extension(
        oid.subjectAltName,
        false,
        der.sequence(
          ...names.dns.map((name) => der.implicit(2, Buffer.from(name, 'ascii'))),
          ...names.ips.map((ip) => der.implicit(7, address(ip))),
        ),
      ),
    ],
  })
}

/** A name form without a constraint is free, so where no address is permitted all of them are excluded. */
function nameConstraints(names: Names): Uint8Array {
  const subtree = (name: Uint8Array) => der.sequence(name)
  const single = (ip: string) => subtree(der.implicit(7, Buffer.concat([address(ip), Buffer.alloc(4, 0xff)])))
  const all = (bytes: number) => subtree(der.implicit(7, Buffer.alloc(bytes)))
  const permitted = [...names.dns.map((name) => subtree(der.implicit(2, Buffer.from(name, 'ascii')))), ...names.ips.map(single)]
  const excluded = names.ips.length === 0 ? [der.context(1, all(8), all(32))] : []
  return der.sequence(der.context(0, ...permitted), ...excluded)
}

interface Parts {
  readonly key: KeyObject
  readonly signer: KeyObject
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly validity: Validity
  readonly serial: Uint8Array
  readonly extensions: readonly Uint8Array[]
}

function certificate(parts: Parts): string {
  const body = der.sequence(
    der.context(0, der.integer(Buffer.from([2]))),
    der.integer(parts.serial),
    algorithm,
    parts.issuer,
    der.sequence(der.time(parts.validity.from), der.time(parts.validity.to)),
    parts.subject,
    parts.key.export({ format: 'der', type: 'spki' }),
    der.context(3, der.sequence(...parts.extensions)),
  )
  const signature = sign('sha256', body, { key: parts.signer, dsaEncoding: 'der' })
  const base64 = Buffer.from(der.sequence(body, algorithm, der.bits(signature))).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
}

const attribute = (type: string, value: string) => der.set(der.sequence(der.objectIdentifier(type), der.utf8(value)))
const authorityName = der.sequence(attribute(oid.organization, 'Taskbound'), attribute(oid.commonName, 'Taskbound issuer CA'))
const servingName = der.sequence(attribute(oid.organization, 'Taskbound'))

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return der.sequence(der.objectIdentifier(id), ...(critical ? [der.boolean(true)] : []), der.octets(value))
}

function keyId(key: KeyObject): Uint8Array {
  return createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest()
    .subarray(0, 20)
}

function address(ip: string): Uint8Array {
  if (!isIPv4(ip)) throw new Error('not an IPv4 address')
  return Buffer.from(ip.split('.').map(Number))
}
