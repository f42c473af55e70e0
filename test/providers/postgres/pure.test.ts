// The parts that talk to nobody: parameters, requests, quoting, verifiers and outputs.

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { describeFault, faults } from '../../../src/providers/postgres/groups.ts'
import { outputs } from '../../../src/providers/postgres/outputs.ts'
import { judgeParams, judgeRequest, type PostgresParams, promises } from '../../../src/providers/postgres/params.ts'
import { identifier, literal, textArray } from '../../../src/providers/postgres/quoting.ts'
import { scramVerifier } from '../../../src/providers/postgres/scram.ts'
import { text } from '../../issuer/world.ts'

const params: PostgresParams = {
  host: 'db.example',
  port: 5432,
  databases: ['payroll', 'archive'],
  groups: ['payroll_read'],
  loginSecretRef: { name: 'db-login' },
  connectionLimit: 10,
  maxTTLSeconds: 3600,
}

describe('a provider object', () => {
  test('with everything right is taken', () => expect(judgeParams(params)).toBeUndefined())
  test.each<[string, Partial<PostgresParams>]>([
    ['without databases', { databases: [] }],
    ['without groups', { groups: [] }],
    ['with a predefined role', { groups: ['pg_write_all_data'] }],
    ['with a group that is SQL', { groups: ['a"; drop role x; --'] }],
    ['with a database that is a connection string', { databases: ['host=evil dbname=x'] }],
    ['with a name that PostgreSQL would cut', { databases: ['x'.repeat(64)] }],
    ['with a bundle that is none', { caBundle: 'nonsense' }],
    ['with a ceiling that cannot be renewed in time', { maxTTLSeconds: 299 }],
  ])('%s is not', (_name, change) => expect(judgeParams({ ...params, ...change })?.reason).toBe('ProviderConfigInvalid'))

  test('promises that the server itself refuses, at once', () => {
    expect(promises(params)).toMatchObject({ revocation: 'Immediate', minTtl: seconds(300), maxTtl: seconds(3600) })
  })
})

describe('a request', () => {
  const request = { name: 'db', audience: undefined, scopes: ['payroll_read'], ttl: seconds(600) }
  test('for a listed group is taken', () => expect(judgeRequest(params, request)).toBeUndefined())
  test.each([
    ['with an audience', { audience: 'https://a.example' }, 'AudienceNotListed'],
    ['with an empty audience', { audience: '' }, 'AudienceNotListed'],
    ['for another group', { scopes: ['payroll_read', 'payroll_write'] }, 'ScopeNotListed'],
    ['for the same group in capitals', { scopes: ['PAYROLL_READ'] }, 'ScopeNotListed'],
    ['for too short', { ttl: seconds(299) }, 'TtlOutOfRange'],
    ['for too long', { ttl: seconds(3601) }, 'TtlOutOfRange'],
  ])('%s is refused', (_name, change, reason) => expect(judgeRequest(params, { ...request, ...change })?.reason).toBe(reason))
})

describe('quoting', () => {
  /** Reads one token as PostgreSQL's scanner does. */
  function scan(sql: string): string {
    if (sql.startsWith('"')) return sql.slice(1, -1).replaceAll('""', '"')
    const escaping = sql.startsWith(' E')
    const body = sql.slice(escaping ? 3 : 1, -1)
    const undoubled = body.replaceAll("''", "'")
    return escaping ? undoubled.replaceAll('\\\\', '\\') : undoubled
  }
  const corpus = [
    'a',
    '"',
    '""',
    "'",
    "''",
    '\\',
    "\\'",
    '$taskbound$',
    '$$',
    '; drop role postgres; --',
    '/*',
    'ä',
    '🐘',
    '\n',
    '%I',
    '%1$I',
    'select',
  ]

  test.each(corpus)('%j comes out as it went in', (name) => {
    expect(scan(identifier(name))).toBe(name)
    expect(scan(literal(name))).toBe(name)
  })

  test('whatever it is', () => {
    const anything = fc.string({ unit: 'binary', minLength: 1, maxLength: 15 }).filter((s) => !s.includes('\0'))
    fc.assert(
      fc.property(anything, (name) => {
        expect(scan(identifier(name))).toBe(name)
        expect(scan(literal(name))).toBe(name)
        // no quote is left that would end it
        expect(identifier(name).slice(1, -1).replaceAll('""', '')).not.toContain('"')
        expect(
          literal(name)
            .replace(/^ ?E?'/, '')
            .slice(0, -1)
            .replaceAll("''", ''),
        ).not.toContain("'")
      }),
    )
  })

  test.each(['', 'x'.repeat(64), 'ä'.repeat(32), 'a\0b'])('%j is no identifier', (name) => expect(() => identifier(name)).toThrow())
  test('a zero byte is in no string, and a list is a list of texts', () => {
    expect(() => literal('a\0')).toThrow()
    expect(textArray(["it's", 'b'])).toBe("array['it''s', 'b']::text[]")
    expect(textArray([])).toBe('array[]::text[]')
  })
})

test('a verifier is that of RFC 5802 over the password, with a salt of its own, and has no password in it', async () => {
  const password = new Material('correct-horse_battery')
  const salt = new Uint8Array(16).fill(7)
  const verifier = await scramVerifier(password, salt)
  const [, iterations, saltText, stored, server] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$/.exec(verifier) ?? []
  expect([iterations, saltText]).toEqual(['4096', Buffer.from(salt).toString('base64')])
  const salted = pbkdf2Sync('correct-horse_battery', salt, 4096, 32, 'sha256')
  const mac = (label: string): Buffer => createHmac('sha256', salted).update(label).digest()
  expect(stored).toBe(createHash('sha256').update(mac('Client Key')).digest('base64'))
  expect(server).toBe(mac('Server Key').toString('base64'))
  expect(verifier).not.toContain('correct-horse')
})

test('outputs name the primary, verify TLS, and have a line of the password file for each database', () => {
  const fields = outputs({ ...params, caBundle: 'PEM' }, 'tbx', new Material('p-w_1'))
  expect(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, text(field)]))).toEqual({
    username: 'tbx',
    password: 'p-w_1',
    host: 'db.example',
    port: '5432',
    database: 'payroll',
    url: 'postgresql://tbx:p-w_1@db.example:5432/payroll?sslmode=verify-full',
    pgpass: 'db.example:5432:payroll:tbx:p-w_1\ndb.example:5432:archive:tbx:p-w_1\n',
    'ca.crt': 'PEM',
  })
  expect(outputs(params, 'tbx', new Material('p'))).not.toHaveProperty(['ca.crt'])
})

test.each(Object.keys(faults) as (keyof typeof faults)[])('the fault %s is said with the group, the database and no full stop', (fault) => {
  const said = describeFault({ group: 'g', role: 'r', fault, object: 'o' }, 'payroll')
  expect(said).toMatch(/`g`.*`r`.*`payroll`/)
  expect(said).not.toMatch(/%[ro]|\.$/)
})
