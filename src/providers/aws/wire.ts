// What is said to AWS STS, by its Query API, and nothing else here talks outside. No key of anybody's signs it: the login token in it is all
// that speaks for a task. STS's own text is never shown, since it may quote what was sent.

import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Http, HttpAnswer } from '../../outbound/http.ts'
import { type AwsParams, endpointOf, type Session } from './params.ts'
import { at, type Element, parseXml } from './xml.ts'

/** `made`: whether a session may be there all the same, which nobody holds. */
export interface StsFailure {
  readonly sentence: string
  readonly made: boolean
}

export interface Asked {
  /** what the session is called */
  readonly handle: string
  readonly login: Material
  readonly seconds: number
  readonly session: Session
  readonly limit: () => number
}

export interface StsWire {
  /** The element of the result. */
  assume(params: AwsParams, asked: Asked): Promise<Result<Element, StsFailure>>
  /** Whether what answers is an STS. Nobody is named, so it can only refuse. */
  probe(params: AwsParams): Promise<Result<undefined, string>>
}

const version = '2011-06-15'
const patience = 5_000

const meanings: Readonly<Record<string, string>> = {
  AccessDenied: "it refuses: the role's trust policy does not let this task in, or does not allow `sts:TagSession`",
  ExpiredTokenException: 'it takes the login token for expired: does the clock of this cluster go right?',
  IDPCommunicationError: "it cannot fetch the keys of this installation's logins: they must be reachable from AWS",
  IDPRejectedClaim: 'it does not take the login token',
  InvalidIdentityToken:
    'it does not trust the login token: is the issuer of logins an OIDC provider of that account, with this `audience`?',
  MalformedPolicyDocument: 'it takes the `policy` of the session for malformed',
  PackedPolicyTooLarge: 'the policies and the tags of the session are too large together: shorten `policy`',
  RegionDisabledException: 'STS is disabled in that `region` for the account',
  Throttling: 'it is asked too often',
  ThrottlingException: 'it is asked too often',
  ValidationError: 'it takes the request for malformed: may a session of the role live as long as `maxTTLSeconds`?',
}

export function createStsWire(http: Pick<Http, 'call'>): StsWire {
  async function ask(params: AwsParams, form: Readonly<Record<string, string>>, limit: number | (() => number)) {
    return http.call({
      method: 'POST',
      url: `${endpointOf(params)}/`,
      caBundle: params.caBundle,
      allowedAddresses: params.allowedAddresses,
      // it would answer in JSON, in a form that nobody describes
      headers: { accept: 'text/xml', 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: new URLSearchParams({ ...form, Version: version }).toString(),
      limit,
    })
  }

  return {
    async assume(params, { handle, login, seconds, session, limit }) {
      const arns = (session.policyArns ?? []).map((arn, i): [string, string] => [`PolicyArns.member.${i + 1}.arn`, arn])
      const form = {
        Action: 'AssumeRoleWithWebIdentity',
        RoleArn: params.roleArn,
        RoleSessionName: handle,
        WebIdentityToken: new TextDecoder().decode(login.reveal()),
        DurationSeconds: String(seconds),
        ...Object.fromEntries(arns),
        ...(session.policy === undefined ? {} : { Policy: session.policy }),
      }
      const answer = await ask(params, form, limit)
      if (!answer.ok) return fail({ sentence: answer.failure.sentence, made: answer.failure.sent })
      return judge(answer.value)
    },
    async probe(params) {
      const answer = await ask(params, { Action: 'GetCallerIdentity' }, patience)
      if (!answer.ok) return fail(answer.failure.sentence)
      const root = parseXml(answer.value.body)
      const known = root?.name === 'GetCallerIdentityResponse' || errorOf(root) !== undefined
      return known ? ok(undefined) : fail(strange(answer.value))
    },
  }
}

const strange = ({ status }: HttpAnswer): string =>
  status >= 300 && status < 400
    ? 'it sends elsewhere, which is not followed: does `endpoint` fit?'
    : `its answer, with status ${status}, is none of STS: does \`endpoint\` fit?`

/** Its own name for what is wrong, where it says no in its own form. */
function errorOf(root: Element | undefined): { readonly code: string; readonly theirs: boolean } | undefined {
  const code = root?.name === 'ErrorResponse' ? at(root, 'Error', 'Code')?.text : undefined
  return code === undefined || !/^[A-Za-z.]{1,64}$/.test(code) ? undefined : { code, theirs: at(root, 'Error', 'Type')?.text !== 'Sender' }
}

function judge(answer: HttpAnswer): Result<Element, StsFailure> {
  const { status, body } = answer
  const root = parseXml(body)
  const result = root?.name === 'AssumeRoleWithWebIdentityResponse' ? at(root, 'AssumeRoleWithWebIdentityResult') : undefined
  if (status === 200 && result !== undefined) return ok(result)
  const error = errorOf(root)
  if (error === undefined || status < 400) return fail({ sentence: strange(answer), made: true })
  const sentence = (Object.hasOwn(meanings, error.code) ? meanings[error.code] : undefined) ?? `it says no, with status ${status}`
  // a fault of the request's is found before anything is made
  return fail({ sentence, made: status >= 500 || error.theirs })
}
