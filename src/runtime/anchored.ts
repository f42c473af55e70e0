// Tokens of ServiceAccounts by the operator's own client. Says what came of each call in sentences of our own: a text of the API server goes
// no further, since it could repeat what it was sent.

import type { Answer, KubeClient, RequestOptions } from '../kube/client.ts'
import { type ApiError, isAlreadyExists, isConflict, isForbidden, isNamespaceTerminating, isNotFound } from '../kube/errors.ts'
import { isKubeObject, type KubeObject, pathOf, type Resource } from '../kube/objects.ts'
import { metadataOnly } from '../kube/patch.ts'
import { type Duration, toSeconds } from '../lib/instant.ts'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { AnchoredTokens, AnchorOwner, AnchorPlace, Standing, TokenOrder } from '../ports/anchored.ts'
import { secretOf } from './effects/secret.ts'
import { list, record, text } from './objects/fields.ts'

const core = (plural: string): Resource => ({ group: '', version: 'v1', plural })
const of = (group: string, plural: string): Resource => ({ group, version: 'v1', plural })
const fence = 'taskbound-operator-token-fence'
const optIn = 'policy.taskbound.dev/service-account-tokens'

export function createAnchoredTokens(client: Pick<KubeClient, 'request'>): AnchoredTokens {
  const ask = <T = KubeObject>(options: RequestOptions): Promise<Result<Answer<T>, ApiError>> => client.request<T>(options)

  return {
    async anchor({ namespace, name }, { task, taskUid, attempt }: AnchorOwner, timeout) {
      const body = secretOf({ namespace, name: task, uid: taskUid }, { name, attempt, data: {} })
      const made = await ask({ method: 'POST', path: pathOf(core('secrets'), { namespace }), body, accept: metadataOnly, timeout })
      if (made.ok) return ok({ namespace, name, uid: made.value.body.metadata.uid })
      const { failure } = made
      if (isAlreadyExists(failure)) return fail('its anchor Secret exists already, so this attempt is spent')
      if (isNamespaceTerminating(failure) || isNotFound(failure)) return fail(`namespace \`${namespace}\` is being deleted`)
      return fail(
        `its anchor Secret could not be made: ${told(failure)}; see the quotas and the admission policies of namespace \`${namespace}\``,
      )
    },

    async token({ anchor, serviceAccount, audience, life }: TokenOrder, timeout) {
      const { namespace } = anchor
      const asked = await ask<unknown>({
        method: 'POST',
        path: pathOf(core('serviceaccounts'), { namespace, name: serviceAccount, subresource: 'token' }),
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: {
            audiences: [audience],
            expirationSeconds: toSeconds(life),
            boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: anchor.name, uid: anchor.uid },
          },
        },
        timeout,
      })
      if (!asked.ok) return fail(noToken(asked.failure, namespace, serviceAccount))
      const token = text(record(record(asked.value.body)['status'])['token'])
      return token === undefined ? fail('the API server answered without a token') : ok(new Material(token))
    },

    async admits(token, timeout) {
      const reviewed = await review(new TextDecoder().decode(token.reveal()), timeout)
      if (!reviewed.ok) return fail(`whether the API server itself takes its token could not be asked: ${told(reviewed.failure)}`)
      const { authenticated } = record(record(reviewed.value.body)['status'])
      return ok(authenticated === true)
    },

    async remove(place, timeout) {
      const removed = await erase(place, { timeout, priority: 'end' })
      // what a finalizer keeps is answered with itself, what is gone with a Status
      if (removed.ok) return ok(isKubeObject(removed.value.body) && removed.value.body.metadata.deletionTimestamp ? 'held' : 'gone')
      if (isGone(removed.failure, place)) return ok('gone')
      return fail(`it could not be deleted: ${told(removed.failure)}`)
    },

    async stands(anchor, timeout) {
      const tried = await erase(anchor, { timeout }, true)
      if (tried.ok) return ok(true)
      return isGone(tried.failure, anchor) ? ok(false) : fail(`whether it is there could not be asked: ${told(tried.failure)}`)
    },

    async standing(timeout) {
      const [guarded, mayAnywhere, mayReview, discovery] = await Promise.all([
        findFence(timeout),
        ask<unknown>({
          method: 'POST',
          path: pathOf(of('authorization.k8s.io', 'selfsubjectaccessreviews')),
          body: {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectAccessReview',
            spec: { resourceAttributes: { namespace: 'kube-system', verb: 'create', resource: 'serviceaccounts', subresource: 'token' } },
          },
          timeout,
        }),
        review('none', timeout),
        ask<unknown>({ method: 'GET', path: '/.well-known/openid-configuration', timeout }),
      ])
      if (!guarded.ok) return guarded
      if (!mayAnywhere.ok) return fail(`the rights of the operator could not be asked for: ${told(mayAnywhere.failure)}`)
      if (!mayReview.ok && !isForbidden(mayReview.failure)) return fail(`no TokenReview can be made: ${told(mayReview.failure)}`)
      const problem =
        guarded.value ??
        (record(record(mayAnywhere.value.body)['status'])['allowed'] === true
          ? 'the operator may request tokens in `kube-system`: take `serviceaccounts/token` out of its ClusterRoles, and give it by a Role in each namespace'
          : undefined) ??
        (mayReview.ok ? undefined : 'the operator may not create `tokenreviews`: give it the rights of this version')
      const issuer = discovery.ok ? text(record(discovery.value.body)['issuer']) : undefined
      return ok<Standing>({ ...(problem === undefined ? {} : { problem }), ...(issuer === undefined ? {} : { issuer }) })
    },
  }

  function erase(
    { namespace, name, uid }: AnchorPlace,
    how: Pick<RequestOptions, 'timeout' | 'priority'>,
    dry = false,
  ): Promise<Result<Answer<unknown>, ApiError>> {
    return ask({
      method: 'DELETE',
      path: pathOf(core('secrets'), { namespace, name }),
      accept: metadataOnly,
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        ...(uid === undefined ? {} : { preconditions: { uid } }),
        // here, or it would be no dry run: beside a body the API server reads no parameters
        ...(dry ? { dryRun: ['All'] } : {}),
      },
      ...how,
    })
  }

  function review(token: string, timeout: Duration): Promise<Result<Answer<unknown>, ApiError>> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } }
    return ask({ method: 'POST', path: pathOf(of('authentication.k8s.io', 'tokenreviews')), body, timeout })
  }

  /** Without it the operator's right in a namespace would be a right on every ServiceAccount there. */
  async function findFence(timeout: Duration): Promise<Result<string | undefined, string>> {
    const get = (plural: string) =>
      ask({ method: 'GET', path: pathOf(of('admissionregistration.k8s.io', plural), { name: fence }), timeout })
    const [policy, binding] = await Promise.all([get('validatingadmissionpolicies'), get('validatingadmissionpolicybindings')])
    for (const answer of [policy, binding])
      if (!answer.ok && !isNotFound(answer.failure))
        return fail(`whether \`${fence}\` is in force could not be asked: ${told(answer.failure)}`)
    const fails = policy.ok && record(policy.value.body['spec'])['failurePolicy'] === 'Fail'
    const denies = binding.ok && list(record(binding.value.body['spec'])['validationActions']).includes('Deny')
    return ok(fails && denies ? undefined : `the admission policy \`${fence}\` or its binding is not in force: apply it again`)
  }
}

/** No Secret of that UID is there, or, where none is known, none of ours. */
function isGone(failure: ApiError, { uid }: AnchorPlace): boolean {
  // said by whoever looks before the deletion, or, where it changed since, by the storage
  const another = isConflict(failure) && /UID in (the )?precondition/.test(failure.message)
  const foreign = uid === undefined && failure.message.includes('this Secret was not made by the operator')
  return isNotFound(failure) || another || foreign
}

function noToken(failure: ApiError, namespace: string, serviceAccount: string): string {
  if (failure.kind === 'http' && failure.message.includes(fence))
    return failure.message.includes(optIn)
      ? `namespace \`${namespace}\` has not opted in: who may write cluster policies gives it the label \`${optIn}: allowed\``
      : `the admission policy \`${fence}\` refuses what was asked for`
  if (isNamespaceTerminating(failure)) return `namespace \`${namespace}\` is being deleted`
  if (isForbidden(failure))
    return `the operator may not make tokens of ServiceAccount \`${serviceAccount}\`: give it a Role in namespace \`${namespace}\` that allows \`create\` on \`serviceaccounts/token\``
  if (isNotFound(failure) || isConflict(failure)) return `ServiceAccount \`${serviceAccount}\` or the anchor Secret is gone or was replaced`
  return `no token was given: ${told(failure)}`
}

/** What became of a call, without a word of the answer. */
function told(failure: ApiError): string {
  if (failure.kind === 'http') return `the API server refused it with status ${failure.status}`
  return failure.kind === 'timeout' ? 'the API server did not answer in time' : 'the API server could not be reached'
}
