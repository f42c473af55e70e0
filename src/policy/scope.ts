// Which requests a policy can match by its scope alone: the part before `when`. Used to leave policies out that cannot match.
// Must never leave out one that could: whatever is not understood counts as a match. Leaving out is exact otherwise: Cedar does not
// evaluate the conditions of a policy whose scope does not match, so such a policy can neither decide nor fail.

import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'

/** What a policy's scope is compared with. Types and ids as Cedar knows them. */
export interface Target {
  readonly action: string
  readonly resourceType: string
  readonly resourceId: string
  readonly namespace: string
}

/** `undefined` stands for any. */
export interface Scope {
  readonly actions: readonly string[] | undefined
  readonly principalType: string | undefined
  readonly namespace: string | undefined
  readonly resourceType: string | undefined
  readonly resourceId: string | undefined
}

export const agentType = 'Taskbound::Agent'
export const namespaceType = 'Taskbound::Namespace'

export function scopeOf({ principal, action, resource }: Pick<PolicyJson, 'principal' | 'action' | 'resource'>): Scope {
  return { actions: actionsOf(action), ...principalOf(principal), ...resourceOf(resource) }
}

export function canMatch(scope: Scope, target: Target): boolean {
  return (
    (scope.actions === undefined || scope.actions.includes(target.action)) &&
    (scope.principalType === undefined || scope.principalType === agentType) &&
    (scope.namespace === undefined || scope.namespace === target.namespace) &&
    (scope.resourceType === undefined || scope.resourceType === target.resourceType) &&
    (scope.resourceId === undefined || scope.resourceId === target.resourceId)
  )
}

/** Whether the scope is of this one resource and says so, rather than of all there are. */
export const names = ({ resourceType, resourceId }: Scope, target: Target): boolean =>
  resourceType === target.resourceType && resourceId === target.resourceId

function uid(entity: EntityUidJson): { readonly type: string; readonly id: string } {
  return '__entity' in entity ? entity.__entity : entity
}

/** The schema has no groups of actions, so `in` one action is that action. */
function actionsOf(action: PolicyJson['action']): readonly string[] | undefined {
  if (action.op === '==' && 'entity' in action) return [uid(action.entity).id]
  if (action.op === 'in' && 'entities' in action) return action.entities.map((entity) => uid(entity).id)
  if (action.op === 'in' && 'entity' in action) return [uid(action.entity).id]
  return undefined
}

function principalOf(principal: PolicyJson['principal']): Pick<Scope, 'principalType' | 'namespace'> {
  if (principal.op === 'is') {
    const within = principal.in !== undefined && 'entity' in principal.in ? namespaceOf(uid(principal.in.entity)) : undefined
    return { principalType: principal.entity_type, namespace: within }
  }
  if ((principal.op === '==' || principal.op === 'in') && 'entity' in principal) {
    const entity = uid(principal.entity)
    const namespace = namespaceOf(entity)
    return { principalType: principal.op === '==' ? entity.type : undefined, namespace }
  }
  return { principalType: undefined, namespace: undefined }
}

/** An agent is `in` its namespace and, as everything is, `in` itself. */
function namespaceOf({ type, id }: { readonly type: string; readonly id: string }): string | undefined {
  if (type === namespaceType) return id
  return type === agentType ? id.slice(0, Math.max(0, id.indexOf('/'))) : undefined
}

function resourceOf(resource: PolicyJson['resource']): Pick<Scope, 'resourceType' | 'resourceId'> {
  if (resource.op === '==' && 'entity' in resource) {
    const { type, id } = uid(resource.entity)
    return { resourceType: type, resourceId: id }
  }
  return { resourceType: resource.op === 'is' ? resource.entity_type : undefined, resourceId: undefined }
}
