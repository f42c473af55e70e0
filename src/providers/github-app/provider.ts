// Installation tokens of a GitHub App, for the repositories and permissions that a task asks for. Decides nothing about policy. A token can be
// ended only by who has it, so it is kept, sealed, before it is delivered; that it is dead is believed when GitHub refuses it.

import { at, earliest, formatTime, milliseconds, plus, seconds } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import { createOutsideProvider, type Making, type Row } from '../../ports/outside.ts'
import type { Failure, Issued, Order, Provider, Unrevoked } from '../../ports/provider.ts'
import { expiryOf, judgeInstallation, judgeToken, slack, tokenOf } from './answers.ts'
import { createAppLogin, type ReadKey } from './app.ts'
import { type GithubAppParams, gitHost, handed, judgeParams, judgeRequest, life, originOf, promises } from './params.ts'
import { type Asked, type KeptToken, type Reference, readReference, readTokens, writeReference, writeToken } from './reference.ts'
import type { GithubWire } from './wire.ts'

export interface GithubAppDependencies {
  readonly wire: GithubWire
  readonly clock: Clock
  readonly readKey: ReadKey
  /** what all handles of this installation begin with */
  readonly prefix: string
}

const patience = 10_000
/** How long after its sending the answer to a request may still be on its way to be kept. */
const answering = milliseconds(patience + 2_000)

export function createGithubAppProvider({ wire, clock, readKey, prefix }: GithubAppDependencies): Provider<GithubAppParams> {
  const appLogin = createAppLogin({ readKey, clock })

  async function make(params: GithubAppParams, order: Order, making: Making): Promise<Result<Issued, string | Failure>> {
    const { record, keep, first, end: ends } = making
    const { github } = order
    if (keep === undefined || github === undefined) return fail('it has no row in the ledger')
    const known = await knownOf(making)
    if (!known.ok) return known
    const { tokens, reference } = known.value
    const none = reference.asked.length === 0 && tokens.length === 0
    if (first !== none) return fail(first ? 'something was issued under its row already' : 'nothing was issued under its row')
    const app = await appLogin(params)
    if (!app.ok) return app
    const dead = await endPredecessors(params, tokens, reference)
    const begun = clock.now()
    const asked = reference.asked.filter(({ until }) => until > begun)
    const ask = 1 + Math.max(0, ...reference.asked.map((entry) => entry.ask), ...tokens.map((token) => token.ask))
    const request: Asked = { ask, until: plus(plus(begun, life), slack) }
    const noted = await record(writeReference({ asked: [...asked, request], dead }))
    if (!noted.ok) return noted
    const unasked = (): Promise<unknown> => record(writeReference({ asked: [...asked, request], dead: [...dead, ask] }))

    const answer = await wire.call(params, {
      method: 'POST',
      path: `app/installations/${params.installationId}/access_tokens`,
      bearer: app.value,
      body: { repositories: github.repositories, permissions: github.permissions },
      limit: () => Math.min(patience, order.deadline - clock.monotonic()),
    })
    if (!answer.ok) {
      if (!answer.failure.done) await unasked()
      return fail(answer.failure.sentence)
    }
    const token = tokenOf(answer.value)
    if (token === undefined) return fail('it answered without a token')
    const expiry = expiryOf(answer.value)
    // of what lives longer nobody knows when it may be forgotten
    const until = expiry === undefined || expiry > request.until ? undefined : request.until
    const keeping = await keep(writeToken({ ask, token, ends }), until)
    const good = keeping.ok ? judgeToken(answer.value, params, github, begun) : keeping
    if (!good.ok) {
      if ((await end(params, token)) === undefined) await unasked()
      return good
    }
    const shown = new TextDecoder().decode(token.reveal())
    const fields = { token, 'git-credentials': new Material(`https://x-access-token:${encodeURIComponent(shown)}@${gitHost(params)}\n`) }
    return ok({ fields, expiresAt: earliest(ends, good.value) ?? ends })
  }

  async function knownOf({ lease, kept }: Row): Promise<Result<{ tokens: readonly KeptToken[]; reference: Reference }, string>> {
    const reference = readReference(lease.reference)
    if (!reference.ok) return reference
    // nothing is kept before its request is noted
    const values = lease.reference === undefined ? undefined : await kept?.()
    if (values?.ok === false) return fail(values.failure.message)
    const tokens = readTokens(values?.value ?? [])
    return tokens.ok ? ok({ tokens: tokens.value, reference: reference.value }) : tokens
  }

  /** Whose time is over; what does not end now is ended with the row. @returns the requests whose tokens are dead */
  async function endPredecessors(
    params: GithubAppParams,
    tokens: readonly KeptToken[],
    { asked, dead }: Reference,
  ): Promise<readonly number[]> {
    const over = tokens.filter(({ ask, ends }) => !dead.includes(ask) && ends <= clock.now())
    const problems = await Promise.all(over.map(({ token }) => end(params, token)))
    const still = dead.filter((ask) => [...tokens, ...asked].some((one) => one.ask === ask))
    return [...still, ...over.filter((_, i) => problems[i] === undefined).map(({ ask }) => ask)]
  }

  /**
   * Ends a token, and shows it once more to see that it is refused: an answer that all went well is no proof.
   * @returns `undefined` when it is dead, or why that is not known: a sentence
   */
  async function end(params: GithubAppParams, bearer: Material): Promise<string | undefined> {
    const ended = await wire.call(params, { method: 'DELETE', path: 'installation/token', bearer, limit: patience })
    if (!ended.ok) return ended.failure.kind === 'dead' ? undefined : ended.failure.sentence
    const seen = await wire.call(params, { method: 'GET', path: 'installation/repositories?per_page=1', bearer, limit: patience })
    if (seen.ok) return 'it says that the token is ended, and takes it nevertheless'
    return seen.failure.kind === 'dead' ? undefined : seen.failure.sentence
  }

  async function revoke(params: GithubAppParams, row: Row): Promise<Result<undefined, string | Unrevoked>> {
    const where = `a token at ${new URL(params.apiUrl).host}`
    const known = await knownOf(row)
    if (!known.ok) return fail(`${where}: ${known.failure}`)
    const { tokens, reference } = known.value
    const problems = await Promise.all(tokens.map(({ ask, token }) => (reference.dead.includes(ask) ? undefined : end(params, token))))
    const problem = problems.find((sentence) => sentence !== undefined)
    if (problem !== undefined) return fail(`${where}: ${problem}`)
    const lost = reference.asked.filter(
      ({ ask, until }) => until > clock.now() && !reference.dead.includes(ask) && !tokens.some((token) => token.ask === ask),
    )
    if (lost.length === 0) return ok(undefined)
    const until = at(Math.max(...lost.map((request) => request.until)))
    const message = `${where}: the answer to a request for it was lost, so nobody has it, and nobody can end it: it expires by itself, by ${formatTime(until)}`
    // who sent it may have an answer yet, and keeps it then
    const underWay = until - clock.now() > life + slack - answering
    return fail({ reason: 'RevocationUnconfirmed', message, ...(underWay ? {} : { until }) })
  }

  async function ready(params: GithubAppParams): Promise<Result<undefined, Failure>> {
    const { host } = new URL(params.apiUrl)
    const invalid = (message: string): Result<never, Failure> => fail({ reason: 'ProviderConfigInvalid', message })
    const app = await appLogin(params)
    if (!app.ok) return invalid(app.failure)
    const path = `app/installations/${params.installationId}`
    const found = await wire.call(params, { method: 'GET', path, bearer: app.value, limit: patience })
    if (!found.ok) {
      const { kind, sentence } = found.failure
      const message = `${host}: ${sentence}`
      return kind === 'silent' || kind === 'broken' ? fail({ reason: 'ProviderUnreachable', message }) : invalid(message)
    }
    const wrong = judgeInstallation(found.value, params)
    return wrong === undefined ? ok(undefined) : invalid(`${host}: ${wrong}`)
  }

  return createOutsideProvider(prefix, {
    type: 'githubApp',
    handed,
    promises,
    judge: judgeParams,
    check: judgeRequest,
    ready,
    make,
    revoke,
    outside: {
      // what is sent in time is answered, or its request stands in the row until what it made has expired
      settling: seconds(30),
      renewal: 'Successor',
      keeps: { origin: originOf },
    },
  })
}
