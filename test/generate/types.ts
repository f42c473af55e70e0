// Makes src/api/generated.ts: one interface an object of the CRDs' schemas, as the API server answers them.
// A field with a default is never absent in what the API server answers, so it is not optional here.

import { compile, type JSONSchema } from 'json-schema-to-typescript'
import type { Crd, Schema } from './crds.ts'

type Json = JSONSchema & { readonly [key: string]: unknown }

/** Names for objects inside the schemas. What is not listed is called like its parent and its field. */
const names: Readonly<Record<string, string>> = {
  'AgentTaskSpec.context': 'TaskContext',
  'AgentTaskSpec.credentials': 'CredentialSpec',
  'AgentTaskSpec.workloadRef': 'WorkloadRef',
  'AgentTaskSpec.requestedBy': 'RequestedBy',
  'AgentTaskStatus.bound': 'BoundUids',
  'AgentTaskStatus.secret': 'SecretRecord',
  'AgentTaskStatus.credentials': 'CredentialRecord',
  'AgentTaskStatus.decision': 'DecisionRecord',
  'AgentPolicyStatus.inForce': 'PolicyInForce',
  'ClusterAgentPolicyStatus.inForce': 'PolicyInForce',
  'CredentialSpec.github': 'GithubRequest',
  'CredentialSpec.providerRef': 'ProviderRef',
  'CredentialRecord.provider': 'ProviderPin',
  'CredentialRecord.statusList': 'StatusListPlace',
  'CredentialRecord.revocation': 'RevocationPromise',
  'ClusterCredentialProviderSpec.namespaces': 'NamespaceSelector',
  'ClusterCredentialProviderSpec.githubApp': 'GithubAppProviderSpec',
  'ClusterCredentialProviderSpec.jwt': 'JwtProviderSpec',
  'ClusterCredentialProviderSpec.oauth': 'OauthProviderSpec',
  'ClusterCredentialProviderSpec.postgres': 'PostgresProviderSpec',
  'ClusterCredentialProviderSpec.webhook': 'WebhookProviderSpec',
  'ClusterCredentialProviderSpec.serviceAccountToken': 'ServiceAccountTokenProviderSpec',
  'ClusterCredentialProviderSpec.aws': 'AwsProviderSpec',
  'ClusterCredentialProviderSpec.static': 'StaticProviderSpec',
  'ClusterCredentialProviderSpec.vault': 'VaultProviderSpec',
  'ClusterCredentialProviderStatus.revocation': 'RevocationPromise',
  'CredentialProviderSpec.githubApp': 'GithubAppProviderSpec',
  'CredentialProviderSpec.postgres': 'PostgresProviderSpec',
  'CredentialProviderStatus.revocation': 'RevocationPromise',
  'NamespaceSelector.matchExpressions': 'NamespaceRequirement',
  'CredentialLeaseSpec.task': 'TaskPin',
  'CredentialLeaseSpec.provider': 'ProviderPin',
}

const text = { type: 'string' } as const
const texts = { type: 'object', additionalProperties: text } as const
const metaMembers = {
  name: text,
  uid: text,
  resourceVersion: text,
  generation: { type: 'integer' },
  creationTimestamp: { ...text, description: 'RFC 3339.' },
  deletionTimestamp: { ...text, description: 'RFC 3339.' },
  labels: texts,
  annotations: texts,
  finalizers: { type: 'array', items: text },
  ownerReferences: { type: 'array', items: { $ref: '#/definitions/OwnerReference' } },
} as const
const metaRequired = ['name', 'uid', 'resourceVersion', 'generation', 'creationTimestamp'] as const

const shared: Readonly<Record<string, Json>> = {
  OwnerReference: {
    type: 'object',
    additionalProperties: false,
    description: 'metav1.OwnerReference.',
    required: ['apiVersion', 'kind', 'name', 'uid'],
    properties: {
      apiVersion: text,
      kind: text,
      name: text,
      uid: text,
      controller: { type: 'boolean' },
      blockOwnerDeletion: { type: 'boolean' },
    },
  },
  ClusterMeta: {
    type: 'object',
    additionalProperties: false,
    description: 'metav1.ObjectMeta of an object without a namespace, as far as anything here reads it.',
    required: [...metaRequired],
    properties: metaMembers,
  },
  NamespacedMeta: {
    type: 'object',
    additionalProperties: false,
    description: 'metav1.ObjectMeta of an object in a namespace, as far as anything here reads it.',
    required: ['namespace', ...metaRequired],
    properties: { namespace: text, ...metaMembers },
  },
}

const pascal = (field: string): string => field.charAt(0).toUpperCase() + field.slice(1)

/** Turns the schema of each object into a definition of its own and answers what refers to it. */
function convert(schema: Schema, name: string, definitions: Map<string, Json>): Json {
  const about = schema.description === undefined ? {} : { description: schema.description }
  if (schema.type === 'array') {
    if (schema.items === undefined) throw new Error(`${name}: an array needs items`)
    return { ...about, type: 'array', items: convert(schema.items, name, definitions) }
  }
  if (schema.type === 'object' && schema.properties !== undefined) {
    define(schema, name, definitions)
    return { $ref: `#/definitions/${name}` }
  }
  if (schema.type === 'object') {
    if (schema.additionalProperties === undefined) throw new Error(`${name}: an object needs properties`)
    return { ...about, type: 'object', additionalProperties: convert(schema.additionalProperties, name, definitions) }
  }
  return { ...about, type: schema.type, ...(schema.enum === undefined ? {} : { enum: [...schema.enum] }) }
}

function define(schema: Schema, name: string, definitions: Map<string, Json>): void {
  const properties: Record<string, Json> = {}
  const required = new Set(schema.required ?? [])
  for (const [field, member] of Object.entries(schema.properties ?? {})) {
    const inner = field === 'conditions' ? 'Condition' : (names[`${name}.${field}`] ?? `${name}${pascal(field)}`)
    properties[field] = convert(member, inner, definitions)
    if (member.default !== undefined) required.add(field)
  }
  const definition: Json = {
    type: 'object',
    additionalProperties: false,
    ...(schema.description === undefined ? {} : { description: schema.description }),
    required: [...required],
    properties,
  }
  const earlier = definitions.get(name)
  if (earlier !== undefined && shape(earlier) !== shape(definition)) throw new Error(`two different objects are called ${name}`)
  if (earlier === undefined) definitions.set(name, definition)
}

const shape = (definition: Json): string => JSON.stringify(definition, (key, value) => (key === 'description' ? undefined : value))

function kind(crd: Crd, definitions: Map<string, Json>): void {
  const { spec, status } = crd.schema.properties ?? {}
  if (spec === undefined) throw new Error(`${crd.kind}: no spec`)
  const properties: Record<string, Json> = {
    apiVersion: { type: 'string', enum: [`${crd.group}/${crd.version}`] },
    kind: { type: 'string', enum: [crd.kind] },
    metadata: { $ref: `#/definitions/${crd.namespaced ? 'NamespacedMeta' : 'ClusterMeta'}` },
    spec: convert(spec, `${crd.kind}Spec`, definitions),
    ...(status === undefined ? {} : { status: convert(status, `${crd.kind}Status`, definitions) }),
  }
  definitions.set(crd.kind, {
    type: 'object',
    additionalProperties: false,
    description: crd.schema.description ?? '',
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    properties,
  })
}

/** The text of src/api/generated.ts. */
export async function apiTypes(crds: readonly Crd[]): Promise<string> {
  const definitions = new Map<string, Json>(Object.entries(shared))
  for (const crd of crds) kind(crd, definitions)
  const all = { definitions: Object.fromEntries(definitions), type: 'object', properties: references(crds) } as Json
  const body = await compile(all, 'Discarded', {
    additionalProperties: false,
    bannerComment: '',
    ignoreMinAndMaxItems: true,
    style: { semi: false, singleQuote: true, printWidth: 140 },
  })
  const header = [
    '// Generated by test/generate.ts from crds/*.yaml; do not edit.',
    '// Objects as the API server answers them: a field that has a default is always there.',
  ]
  return `${header.join('\n')}\n\n${tidy(body)}`
}

const references = (crds: readonly Crd[]): Record<string, Json> =>
  Object.fromEntries(crds.map((crd) => [crd.kind, { $ref: `#/definitions/${crd.kind}` }]))

/** Everything read-only, without the type of the whole that the compiler needs as a root. */
function tidy(body: string): string {
  return body
    .replace(/^export interface Discarded \{[^}]*\}\n/m, '')
    .replace(/^( +)(?!readonly |\* )((?:'[^']+'|\w+|\[k: string\])\??: )/gm, '$1readonly $2')
    .replace(/^( +readonly [^\n]*?: )(\w+|\([^)]*\))\[\]$/gm, '$1readonly $2[]')
}
