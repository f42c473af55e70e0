// SPIFFE IDs of agents and of their tasks. Refuses what the SPIFFE ID standard refuses; never escapes or repairs a name.

import { splitKey, type TaskKey, type Uid } from '../../core/names.ts'
import { fail, ok, type Result } from '../../lib/result.ts'

const trustDomainPattern = /^[a-z0-9._-]{1,255}$/
const segmentPattern = /^[a-zA-Z0-9._-]+$/
const maxBytes = 2048

/** `spiffe://<trust domain>/ns/<namespace>/agent/<agent>`: the agent, whatever it works on. */
export function agentId(trustDomain: string, task: TaskKey, agent: string): Result<string, string> {
  return spiffeId(trustDomain, ['ns', splitKey(task).namespace, 'agent', agent])
}

/** `spiffe://<trust domain>/ns/<namespace>/agent/<agent>/task/<task UID>`: the agent at one task. */
export function taskId(trustDomain: string, task: TaskKey, agent: string, taskUid: Uid): Result<string, string> {
  return spiffeId(trustDomain, ['ns', splitKey(task).namespace, 'agent', agent, 'task', taskUid])
}

/** `spiffe://<trust domain>/taskbound`: the operator. */
export const operatorId = (trustDomain: string): Result<string, string> => spiffeId(trustDomain, ['taskbound'])

function spiffeId(trustDomain: string, segments: readonly string[]): Result<string, string> {
  if (!trustDomainPattern.test(trustDomain)) return fail('the trust domain is not a SPIFFE trust domain')
  for (const segment of segments) {
    if (!segmentPattern.test(segment) || segment === '.' || segment === '..') {
      return fail('a name of the task cannot be a segment of a SPIFFE ID')
    }
  }
  const id = `spiffe://${trustDomain}/${segments.join('/')}`
  return id.length <= maxBytes ? ok(id) : fail('the names of the task make a SPIFFE ID of more than 2048 bytes')
}
