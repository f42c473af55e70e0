// Every CEL rule of crds/*.yaml with an object that passes it and one that does not; test/e2e/crds.test.ts counts that none is missing.

import type { RequestOptions } from '../support/cluster.ts'
import { operator } from './admission/fixture.ts'

export type Fields = Readonly<Record<string, unknown>>
export interface Attempt {
  readonly name?: string
  readonly spec?: Fields
  readonly status?: Fields
  /** a merge patch of the spec or status, made to the stored object; absent: the object is created */
  readonly change?: Fields
}
export interface Row {
  readonly kind: string
  /** begins the message of exactly one rule of that kind */
  readonly rule: string
  readonly pass: Attempt
  readonly fail: Attempt
}

export const credential = { name: 'api', providerRef: { kind: 'ClusterCredentialProvider', name: 'corp' } }
const jwt = { profile: 'AccessToken', audiences: ['https://a.example'] }
const webhook = { url: 'https://keys.example', audience: 'https://keys.example', scopes: ['read'] }
const serviceAccountToken = { audiences: ['https://registry.example'], verification: 'TokenReview' }
const postgres = { host: 'db.example', databases: ['app'], groups: ['app_read'], loginSecretRef: { name: 'db-login' } }
const aws = { roleArn: 'arn:aws:iam::123456789012:role/a', region: 'eu-central-1', sessions: [{ name: 'read', policy: '{}' }] }
const withAws = (change: Fields = {}): Attempt => ({ spec: { type: 'aws', jwt: undefined, aws: { ...aws, ...change } } })
const ownGithubApp = {
  account: 'corp',
  clientId: 'Iv1',
  installationId: 1,
  privateKeySecretRef: { name: 'key' },
  repositories: ['ledger'],
  permissions: { contents: 'read' },
}
const withGithub = (change: Fields = {}, patch?: Fields): Attempt => ({
  spec: { type: 'githubApp', jwt: undefined, githubApp: { ...ownGithubApp, ...change } },
  ...(patch === undefined ? {} : { change: { githubApp: patch } }),
})
const oauth = { issuer: 'https://sso.example', clientId: 'taskbound', scopes: ['read'], maxTTLSeconds: 300 }
const withOauth = (change: Fields = {}): Attempt => ({ spec: { type: 'oauth', jwt: undefined, oauth: { ...oauth, ...change } } })
const endpoints = { tokenEndpoint: 'https://sso.example/t', revocationEndpoint: 'https://sso.example/r' }
const existing = { secretRef: { name: 'legacy' }, keys: ['api-key'] }
const vaultPath = { path: 'database/creds/a', kind: 'Lease' }
const vault = {
  address: 'https://vault.example',
  role: 'tasks',
  operatorRole: 'operator',
  audience: 'https://v.example',
  paths: [vaultPath],
}
const withVault = (change: Fields = {}): Attempt => ({ spec: { type: 'vault', jwt: undefined, vault: { ...vault, ...change } } })
const pin = { kind: 'ClusterCredentialProvider', name: 'corp', uid: 'u', type: 'jwt' }
export const leaseSpec = {
  handle: 'tbx',
  installation: 'test',
  task: { namespace: 'a', name: 'b', uid: 'c' },
  credential: 'api',
  attempt: 1,
  provider: pin,
  effectBy: '2030-01-01T00:00:00Z',
}
export const base: Readonly<
  Record<
    string,
    { readonly plural: string; readonly cluster?: boolean; readonly as?: RequestOptions; readonly name?: string; readonly spec: Fields }
  >
> = {
  AgentTask: { plural: 'agenttasks', spec: { agentRef: { name: 'clerk' }, action: 'test.act', credentials: [credential] } },
  Agent: { plural: 'agents', spec: { serviceAccountName: 'clerk', owner: 'a@corp.example' } },
  ClusterCredentialProvider: { plural: 'clustercredentialproviders', cluster: true, spec: { type: 'jwt', jwt } },
  CredentialProvider: { plural: 'credentialproviders', spec: { type: 'postgres', postgres } },
  CredentialLease: { plural: 'credentialleases', as: operator, name: 'tbx', spec: leaseSpec },
}
export const withCredential = (change: Fields): Attempt => ({ spec: { credentials: [{ ...credential, ...change }] } })
const withKeys = (...keys: readonly Fields[]): Attempt => ({
  spec: { credentials: keys.map((map, i) => ({ ...credential, name: `c${i}`, keys: map })) },
})
const selector = (requirement: Fields): Attempt => ({ spec: { namespaces: { matchExpressions: [{ key: 'team', ...requirement }] } } })
const manyNames = { ['x'.repeat(64)]: 'v' }

/** Every CEL rule of every CRD, with an object that it lets pass and one that it does not. */
export const rows: readonly Row[] = [
  { kind: 'AgentTask', rule: '`metadata.name` must be at most 53', pass: { name: 'x'.repeat(53) }, fail: { name: 'x'.repeat(54) } },
  {
    kind: 'AgentTask',
    rule: 'only `end`, `suspend` and',
    pass: { spec: {}, change: { suspend: true } },
    fail: { spec: {}, change: { action: 'test.other' } },
  },
  {
    kind: 'AgentTask',
    rule: '`end` may be set once',
    pass: { change: { end: 'Completed' } },
    fail: { spec: { end: 'Completed' }, change: { end: 'Cancelled' } },
  },
  { kind: 'AgentTask', rule: '`parentRef` may not be specified', pass: {}, fail: { spec: { parentRef: { name: 'p' } } } },
  { kind: 'AgentTask', rule: '`delegation` may not be specified', pass: {}, fail: { spec: { delegation: { maxDepth: 1 } } } },
  {
    kind: 'AgentTask',
    rule: 'names of `attributes` must be',
    pass: { spec: { context: { attributes: { ticket: 'F-1' } } } },
    fail: { spec: { context: { attributes: manyNames } } },
  },
  {
    kind: 'AgentTask',
    rule: 'each key of the Secret may be used once',
    pass: withKeys({ token: 'A' }, { token: 'B' }),
    fail: withKeys({ token: 'A' }, { token: 'A' }),
  },
  {
    kind: 'AgentTask',
    rule: '`ttlSeconds` must be greater than or equal to 300',
    pass: withCredential({ ttlSeconds: 300 }),
    fail: withCredential({ ttlSeconds: 299 }),
  },
  {
    kind: 'AgentTask',
    rule: "`delivery` must be 'Secret'",
    pass: withCredential({ delivery: 'Secret' }),
    fail: withCredential({ delivery: 'Exchange' }),
  },
  {
    kind: 'Agent',
    rule: 'names of `attributes` must be',
    pass: { spec: { attributes: { team: 'a' } } },
    fail: { spec: { attributes: manyNames } },
  },
  { kind: 'ClusterCredentialProvider', rule: "`jwt` must be specified when `type` is 'jwt'", pass: {}, fail: { spec: { jwt: undefined } } },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`postgres` must be specified when `type` is 'postgres'",
    pass: { spec: { type: 'postgres', jwt: undefined, postgres } },
    fail: { spec: { type: 'postgres', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`webhook` must be specified when `type` is 'webhook'",
    pass: { spec: { type: 'webhook', jwt: undefined, webhook } },
    fail: { spec: { type: 'webhook', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`url` may not be changed',
    pass: { spec: { type: 'webhook', jwt: undefined, webhook }, change: { webhook: { scopes: ['other'] } } },
    fail: { spec: { type: 'webhook', jwt: undefined, webhook }, change: { webhook: { url: 'https://other.example' } } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: 'only the block that is called like `type`',
    pass: { spec: { type: 'postgres', jwt: undefined, postgres } },
    fail: { spec: { postgres } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`type` may not be changed',
    pass: { change: { sensitivity: 'Public' } },
    fail: { change: { type: 'postgres', jwt: null, postgres } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`host` and `port` may not be changed',
    pass: { spec: { type: 'postgres', jwt: undefined, postgres }, change: { postgres: { groups: ['app_write'] } } },
    fail: { spec: { type: 'postgres', jwt: undefined, postgres }, change: { postgres: { port: 5433 } } },
  },
  {
    kind: 'CredentialProvider',
    rule: "`postgres` must be specified when `type` is 'postgres'",
    pass: {},
    fail: { spec: { postgres: undefined } },
  },
  {
    kind: 'CredentialProvider',
    rule: "`githubApp` must be specified when `type` is 'githubApp'",
    pass: { spec: { type: 'githubApp', postgres: undefined, githubApp: ownGithubApp } },
    fail: { spec: { type: 'githubApp', postgres: undefined } },
  },
  {
    kind: 'CredentialProvider',
    rule: 'only the block that is called like `type`',
    pass: {},
    fail: { spec: { githubApp: ownGithubApp } },
  },
  {
    kind: 'CredentialProvider',
    rule: '`type` may not be changed',
    pass: { change: { sensitivity: 'Public' } },
    fail: { change: { type: 'githubApp', postgres: null, githubApp: ownGithubApp } },
  },
  {
    kind: 'CredentialProvider',
    rule: 'specify one of `clientId` and `appId`',
    pass: { spec: { type: 'githubApp', postgres: undefined, githubApp: ownGithubApp } },
    fail: { spec: { type: 'githubApp', postgres: undefined, githubApp: { ...ownGithubApp, appId: 1 } } },
  },
  {
    kind: 'CredentialProvider',
    rule: '`apiUrl`, `account` and `installationId` may not be changed',
    pass: { spec: { type: 'githubApp', postgres: undefined, githubApp: ownGithubApp }, change: { githubApp: { repositories: ['other'] } } },
    fail: { spec: { type: 'githubApp', postgres: undefined, githubApp: ownGithubApp }, change: { githubApp: { account: 'other' } } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`githubApp` must be specified when `type` is 'githubApp'",
    pass: withGithub(),
    fail: { spec: { type: 'githubApp', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: 'specify one of `clientId` and `appId`',
    pass: withGithub({ clientId: undefined, appId: 1 }),
    fail: withGithub({ appId: 1 }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`apiUrl`, `account` and `installationId` may not be changed',
    pass: withGithub({}, { repositories: ['other'] }),
    fail: withGithub({}, { installationId: 2 }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: 'names of `permissions` are those of the REST API',
    pass: withGithub({ permissions: { pull_requests: 'write' } }),
    fail: withGithub({ permissions: { 'pull-requests': 'write' } }),
  },
  {
    kind: 'AgentTask',
    rule: 'names of `permissions` are those of the REST API',
    pass: withCredential({ github: { repositories: ['ledger'], permissions: { pull_requests: 'write' } } }),
    fail: withCredential({ github: { repositories: ['ledger'], permissions: { 'pull-requests': 'write' } } }),
  },
  {
    kind: 'CredentialProvider',
    rule: 'names of `permissions` are those of the REST API',
    pass: { spec: { type: 'githubApp', postgres: undefined, githubApp: ownGithubApp } },
    fail: { spec: { type: 'githubApp', postgres: undefined, githubApp: { ...ownGithubApp, permissions: { A: 'read' } } } },
  },
  {
    kind: 'CredentialProvider',
    rule: '`host` and `port` may not be changed',
    pass: { change: { postgres: { groups: ['app_write'] } } },
    fail: { change: { postgres: { host: 'elsewhere.example' } } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`serviceAccountToken` must be specified when `type` is 'serviceAccountToken'",
    pass: { spec: { type: 'serviceAccountToken', jwt: undefined, serviceAccountToken } },
    fail: { spec: { type: 'serviceAccountToken', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`aws` must be specified when `type` is 'aws'",
    pass: withAws(),
    fail: { spec: { type: 'aws', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`policy` or `policyArns` must be specified',
    pass: withAws({ sessions: [{ name: 'read', policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'] }] }),
    fail: withAws({ sessions: [{ name: 'all' }] }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`oauth` must be specified when `type` is 'oauth'",
    pass: withOauth(),
    fail: { spec: { type: 'oauth', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`issuer` and `clientId` may not be changed',
    pass: { ...withOauth(), change: { oauth: { scopes: ['write'] } } },
    fail: { ...withOauth(), change: { oauth: { clientId: 'other' } } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`revocationEndpoint` and `introspectionEndpoint` may only be specified with `tokenEndpoint`',
    pass: withOauth({ ...endpoints, introspectionEndpoint: 'https://sso.example/i' }),
    fail: withOauth({ introspectionEndpoint: 'https://sso.example/i' }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`revocationEndpoint` and `introspectionEndpoint` must be specified with `tokenEndpoint` unless',
    pass: withOauth({ ...endpoints, revocation: 'ExpireOnly' }),
    fail: withOauth(endpoints),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`audiences` and `resources` may not hold the same entry',
    pass: withOauth({ audiences: ['https://a.example'], resources: ['https://b.example'] }),
    fail: withOauth({ audiences: ['https://a.example'], resources: ['https://b.example', 'https://a.example'] }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`static` must be specified when `type` is 'static'",
    pass: { spec: { type: 'static', jwt: undefined, static: existing } },
    fail: { spec: { type: 'static', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: "`vault` must be specified when `type` is 'vault'",
    pass: withVault(),
    fail: { spec: { type: 'vault', jwt: undefined } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`address` and `vaultNamespace` may not be changed',
    pass: { ...withVault(), change: { vault: { role: 'others' } } },
    fail: { ...withVault(), change: { vault: { vaultNamespace: 'teams' } } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: 'all `paths` must be of one `kind`',
    pass: withVault({ paths: [vaultPath, { path: 'database/creds/b' }] }),
    fail: withVault({ paths: [vaultPath, { path: 'secret/data/b', kind: 'Static' }] }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`role` and `operatorRole` must differ',
    pass: withVault(),
    fail: withVault({ operatorRole: 'tasks' }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: 'a path may not begin with `auth/`',
    pass: withVault({ paths: [{ path: 'system/creds' }] }),
    fail: withVault({ paths: [{ path: 'sys/raw' }] }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`values` must be specified when',
    pass: selector({ operator: 'In', values: ['a'] }),
    fail: selector({ operator: 'In' }),
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`maxTTLSeconds` must be 300',
    pass: { spec: { jwt: { ...jwt, profile: 'JWTSVID', maxTTLSeconds: 300 } } },
    fail: { spec: { jwt: { ...jwt, profile: 'JWTSVID' } } },
  },
  {
    kind: 'ClusterCredentialProvider',
    rule: '`scopes` may be specified only',
    pass: { spec: { jwt: { ...jwt, scopes: ['a:read'] } } },
    fail: { spec: { jwt: { ...jwt, profile: 'JWTSVID', maxTTLSeconds: 300, scopes: ['a:read'] } } },
  },
  { kind: 'CredentialLease', rule: '`metadata.name` must be `spec.handle`', pass: { name: 'tbx' }, fail: { name: 'tby' } },
  { kind: 'CredentialLease', rule: '`spec` may not be changed', pass: { change: { attempt: 1 } }, fail: { change: { attempt: 2 } } },
  {
    kind: 'CredentialLease',
    rule: "a row that is 'Revoked'",
    pass: { status: { state: 'Revoking' }, change: { state: 'Revoked' } },
    fail: { status: { state: 'Revoked' }, change: { state: 'Issued' } },
  },
]
