// Which blocks of a provider and which requests are taken. Compares to the letter.

import { expect, test } from '@jest/globals'
import { seconds } from '../../../src/lib/instant.ts'
import { judgeParams, judgeRequest, type OauthParams, promises } from '../../../src/providers/oauth/params.ts'

const params: OauthParams = {
  issuer: 'https://sso.example/realms/agents',
  clientId: 'taskbound',
  grant: 'ClientCredentials',
  revocation: 'Checked',
  scopes: ['payroll:read'],
  maxTTLSeconds: 300,
}
const endpoints = { tokenEndpoint: 'https://sso.example/t', revocationEndpoint: 'https://sso.example/r' }
const checked = { ...endpoints, introspectionEndpoint: 'https://sso.example/i' }

test.each<[string, Partial<OauthParams>, string | undefined]>([
  ['as it is', {}, undefined],
  ['with endpoints', checked, undefined],
  ['with no introspection where none is needed', { ...endpoints, revocation: 'ExpireOnly' }, undefined],
  ['with no introspection', endpoints, '`introspectionEndpoint` must be set'],
  ['with an endpoint of no token', { introspectionEndpoint: 'https://sso.example/i' }, 'only be set with `tokenEndpoint`'],
  ['without TLS', { issuer: 'http://sso.example' }, '`issuer`'],
  ['with a user', { issuer: 'https://a@sso.example' }, '`issuer`'],
  ['with a query', { issuer: 'https://sso.example?a' }, '`issuer`'],
  ['with a fragment', { issuer: 'https://sso.example#a' }, '`issuer`'],
  ['with an endpoint without TLS', { ...checked, revocationEndpoint: 'http://sso.example' }, '`revocationEndpoint`'],
  ['with an endpoint with a fragment', { ...checked, tokenEndpoint: 'https://sso.example/t#a' }, '`tokenEndpoint`'],
  ['with a client of two lines', { clientId: 'a\nb' }, '`clientId`'],
  ['with an audience of nothing', { audience: '' }, '`audience`'],
  ['without scopes', { scopes: [] }, '`scopes` lists nothing'],
  ['with two scopes in one', { scopes: ['a b'] }, 'no scope of OAuth'],
  ['with a quoted scope', { scopes: ['a"'] }, 'no scope of OAuth'],
  ['with an audience of two words', { audiences: ['a b'] }, '`audiences`'],
  ['with a relative resource', { resources: ['/api'] }, '`resources`'],
  ['with a resource with a fragment', { resources: ['https://a.example#b'] }, '`resources`'],
  ['with a target in both lists', { audiences: ['https://a.example'], resources: ['https://a.example'] }, 'the same entry'],
  ['with no certificate', { caBundle: 'none' }, '`caBundle`'],
  ['with no network', { allowedAddresses: ['inside'] }, '`allowedAddresses`'],
  ['with too short a life', { maxTTLSeconds: 60 }, '`maxTTLSeconds`'],
])('a block %s is judged', (_, over, sentence) => {
  const failure = judgeParams({ ...params, ...over })
  if (sentence === undefined) expect(failure).toBeUndefined()
  else expect(failure).toMatchObject({ reason: 'ProviderConfigInvalid', message: expect.stringContaining(sentence) })
})

test.each<[string, { audience?: string; scopes?: string[]; ttl?: number }, string | undefined]>([
  ['as listed', {}, undefined],
  ['without an audience', { audience: undefined as never }, 'AudienceMissing'],
  ['for a resource', { audience: 'https://ledger.example' }, undefined],
  ['for another audience', { audience: 'https://a.example/' }, 'AudienceNotListed'],
  ['for no scope', { scopes: [] }, 'ScopeNotListed'],
  ['for another scope', { scopes: ['payroll:read', 'payroll:write'] }, 'ScopeNotListed'],
  ['for less life than the server gives', { ttl: 299 }, 'TtlOutOfRange'],
  ['for more', { ttl: 301 }, 'TtlOutOfRange'],
])('a request %s is judged', (_, { ttl = 300, ...over }, reason) => {
  const targets = { audiences: ['https://a.example'], resources: ['https://ledger.example'] }
  const asked = { name: 'api', audience: 'https://a.example', scopes: ['payroll:read'], ttl: seconds(ttl), ...over }
  expect(judgeRequest({ ...params, ...targets }, asked)?.reason).toBe(reason)
})

test('a provider promises the life that the server gives, and no revocation that it cannot see', () => {
  const life = { minTtl: seconds(300), maxTtl: seconds(300), leastLife: seconds(300) }
  expect(promises(params)).toEqual({ ...life, revocation: 'Checked', bound: seconds(5) })
  expect(promises({ ...params, revocation: 'ExpireOnly' })).toEqual({ ...life, revocation: 'ExpireOnly', bound: seconds(360) })
})
