// What GitHub answered, judged before anything of it is believed: a token, and an installation. Pure.

import type { GithubAsk } from '../../core/observed.ts'
import { type Instant, parseTime, plus, seconds } from '../../lib/instant.ts'
import { inner, type Json } from '../../lib/json.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { type GithubAppParams, levelIn, levelOf, life } from './params.ts'

/** By which clocks may differ. */
export const slack = seconds(300)

const same = (a: unknown, b: string): boolean => typeof a === 'string' && a.toLowerCase() === b.toLowerCase()

/** What can be shown and given back, whatever else is wrong with the answer. Of any length: formats have changed, and will. */
export function tokenOf(answer: Json): Material | undefined {
  const { token } = answer
  return typeof token === 'string' && /^[\x21-\x7E]{16,8192}$/.test(token) ? new Material(token) : undefined
}

const isTime = (value: unknown): value is string =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(value)

export function expiryOf(answer: Json): Instant | undefined {
  const time = answer['expires_at']
  return isTime(time) ? parseTime(time) : undefined
}

/**
 * Whether a token is for what was asked for, and for nothing more. `metadata: read` comes with every token.
 * @returns when it dies by itself; a failure is a sentence
 */
export function judgeToken(answer: Json, { account }: GithubAppParams, ask: GithubAsk, begun: Instant): Result<Instant, string> {
  const expiresAt = expiryOf(answer)
  if (expiresAt === undefined) return fail('its token does not say when it expires')
  if (expiresAt > plus(plus(begun, life), slack)) return fail('its token lives for more than an hour')
  if (expiresAt <= begun) return fail('its token has expired already: is the clock right?')
  const permissions = inner(answer['permissions'])
  const more = Object.entries(permissions).some(
    ([name, level]) => levelOf(level) === 0 || levelOf(level) > Math.max(levelIn(ask.permissions, name), name === 'metadata' ? 1 : 0),
  )
  if (more) return fail('its token has more permissions than were asked for')
  if (!Object.entries(ask.permissions).every(([name, level]) => levelIn(permissions, name) >= levelOf(level)))
    return fail('its token lacks a permission that was asked for')
  if (answer['repository_selection'] !== 'selected') return fail('its token is for all repositories of the account')
  const repositories = Array.isArray(answer['repositories']) ? answer['repositories'].map(inner) : []
  // what a repository is called at GitHub does not depend on case
  const asked = (repository: Json): boolean =>
    same(inner(repository['owner'])['login'], account) &&
    ask.repositories.some((name) => same(repository['name'], name) && same(repository['full_name'], `${account}/${name}`))
  if (!repositories.every(asked)) return fail('its token is for other repositories than were asked for')
  if (!ask.repositories.every((name) => repositories.some((repository) => same(repository['name'], name))))
    return fail('its token lacks a repository that was asked for')
  return ok(expiresAt)
}

/** Why an installation cannot give what the provider lists; `undefined` when it can. */
export function judgeInstallation(answer: Json, params: GithubAppParams): string | undefined {
  if (answer['id'] !== params.installationId) return 'it answered with another installation'
  if (!same(inner(answer['account'])['login'], params.account))
    return `installation ${params.installationId} is not at \`${params.account}\`: correct \`account\` or \`installationId\``
  if (answer['suspended_at'] !== null && answer['suspended_at'] !== undefined) return 'the installation is suspended'
  const granted = inner(answer['permissions'])
  const lacking = Object.entries(params.permissions).find(([name, level]) => levelIn(granted, name) < levelOf(level))
  return lacking === undefined
    ? undefined
    : `the installation lacks \`${lacking[0]}: ${lacking[1]}\`: grant it to the App and accept it at the account, or take it off \`permissions\``
}
