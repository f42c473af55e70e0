// Writes a request in the words of the schema: entities and context for one Cedar call.
// Only the entities that the request needs: each one costs as much as two policies.

import type { CedarValueJson, EntityJson, StatefulAuthorizationCall, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'
import type { GithubAsk } from '../core/observed.ts'
import { toSeconds } from '../lib/instant.ts'
import type { AuthorizationRequest, ProviderFacts, Sensitivity } from '../ports/authorizer.ts'
import { agentType, namespaceType, type Target } from './scope.ts'

export const sensitivities: readonly Sensitivity[] = ['Public', 'Internal', 'Confidential', 'Restricted']

/** All of a call but what it is judged by. */
export type Question = Pick<StatefulAuthorizationCall, 'principal' | 'action' | 'resource' | 'context' | 'entities'>

export function targetOf(request: AuthorizationRequest): Target {
  const { type, id } = resourceOf(request.provider)
  return { action: request.action, resourceType: type, resourceId: id, namespace: request.agent.namespace }
}

export function questionOf(request: AuthorizationRequest): Question {
  const { agent, namespace, provider, claimed } = request
  const principal = { type: agentType, id: `${agent.namespace}/${agent.name}` }
  const home = { type: namespaceType, id: namespace.name }
  const resource = resourceOf(provider)
  const claims = { type: 'Taskbound::Claims', id: 'claims' }
  const entities: EntityJson[] = [
    entity(
      principal,
      { name: agent.name, namespace: { __entity: home }, uid: agent.uid, serviceAccount: agent.serviceAccount, owner: agent.owner },
      [home],
      agent.attributes,
    ),
    entity(home, { name: namespace.name, environment: namespace.labels['environment'] }, [], namespace.labels),
    providerEntity(resource, provider),
  ]
  // a tag of an entity that is not there reads as absent
  if (Object.keys(claimed.attributes).length > 0) entities.push(entity(claims, {}, [], claimed.attributes))
  return { principal, action: { type: 'Taskbound::Action', id: request.action }, resource, context: contextOf(request, claims), entities }
}

function contextOf(request: AuthorizationRequest, claims: TypeAndId): Record<string, CedarValueJson> {
  const { claimed, requestedBy, delegation } = request
  const known = requestedBy.kind !== 'Unknown'
  return record({
    claimed: record({
      action: claimed.action,
      purpose: claimed.purpose,
      destination: claimed.destination,
      destinations: [...claimed.destinations],
      dataSensitivity: claimed.dataSensitivity,
      tools: [...claimed.tools],
      attributes: { __entity: claims },
    }),
    sensitivity: sensitivityOf(request.provider.sensitivity, claimed.dataSensitivity),
    scopes: [...request.scopes],
    github: request.github && githubOf(request.github),
    audience: request.audience,
    ttlSeconds: toSeconds(request.ttl),
    // what nobody vouches for must not match a policy by accident
    requestedBy: {
      kind: requestedBy.kind,
      username: known ? requestedBy.username : '',
      groups: known ? [...requestedBy.groups] : [],
    },
    approved: request.approved,
    approvers: [...request.approvers],
    delegation: delegation && { depth: delegation.depth, chain: [...delegation.chain], root: delegation.root },
    now: { __extn: { fn: 'datetime', arg: new Date(request.now).toISOString() } },
  })
}

const githubOf = ({ repositories, permissions }: GithubAsk): CedarValueJson => ({
  repositories: [...repositories],
  permissions: Object.entries(permissions).map(([name, level]) => `${name}:${level}`),
})

/** The higher of the two. A claim is the task author's word, so it only raises; a provider that declares nothing is taken for the highest. */
function sensitivityOf(declared: Sensitivity | undefined, claimed: Sensitivity | undefined): { word: Sensitivity; level: number } {
  const floor = sensitivities.indexOf(declared ?? 'Restricted')
  const level = claimed === undefined ? floor : Math.max(floor, sensitivities.indexOf(claimed))
  return { word: sensitivities[level] ?? 'Restricted', level }
}

function resourceOf({ kind, namespace, name }: ProviderFacts): TypeAndId {
  return kind === 'ClusterCredentialProvider'
    ? { type: 'Taskbound::ClusterProvider', id: name }
    : { type: 'Taskbound::Provider', id: `${namespace ?? ''}/${name}` }
}

function providerEntity(uid: TypeAndId, provider: ProviderFacts): EntityJson {
  const home = provider.kind === 'CredentialProvider' ? { type: namespaceType, id: provider.namespace ?? '' } : undefined
  const attributes = {
    name: provider.name,
    namespace: home && { __entity: home },
    uid: provider.uid,
    type: provider.type,
    sensitivity: provider.sensitivity ?? 'Restricted',
    destinations: [...provider.destinations],
    revocation: { class: provider.revocation.class, boundSeconds: Math.ceil(provider.revocation.bound / 1000) },
  }
  return entity(uid, attributes, home === undefined ? [] : [home], provider.labels)
}

type Draft = Readonly<Record<string, CedarValueJson | undefined>>

/** Cedar knows no null: what is not there is left out. */
function record(draft: Draft): Record<string, CedarValueJson> {
  return Object.fromEntries(Object.entries(draft).filter((member): member is [string, CedarValueJson] => member[1] !== undefined))
}

function entity(uid: TypeAndId, attrs: Draft, parents: TypeAndId[], tags: Readonly<Record<string, string>>): EntityJson {
  return { uid, attrs: record(attrs), parents, tags: { ...tags } }
}
