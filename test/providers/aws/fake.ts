// A strict stand-in for AWS STS over HTTPS: it takes a call of the Query API only as STS does, answers in its XML, and can lie, break, or act
// and not answer.

import type { IncomingMessage } from 'node:http'
import { entropy } from '../../issuer/world.ts'
import { type Answer, startStandIn } from '../../support/stand-in.ts'

type Form = Readonly<Record<string, string>>
interface Request {
  readonly call: string
  readonly headers: IncomingMessage['headers']
  readonly form: Form
}
export interface Made {
  readonly handle: string
  readonly token: string
  readonly form: Form
  /** epoch milliseconds */
  readonly expires: number
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/'
export const refusal = (status: number, code: string, message = 'canary-71', type = 'Sender'): Answer => ({
  status,
  body: `<ErrorResponse xmlns="${namespace}">\n  <Error>\n    <Type>${type}</Type>\n    <Code>${code}</Code>\n    <Message>${message}</Message>\n  </Error>\n  <RequestId>1</RequestId>\n</ErrorResponse>\n`,
})
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const read = (incoming: IncomingMessage, text: string): Request => ({
  call: `${incoming.method} ${incoming.url}`,
  headers: incoming.headers,
  form: Object.fromEntries(new URLSearchParams(text)),
})

export async function startFake() {
  const made: Made[] = []
  const fake = Object.assign(await startStandIn(read, act, 'text/xml'), {
    made,
    trusted: { audience: 'sts.amazonaws.com', role: 'arn:aws:iam::123456789012:role/agents/payroll' },
    accepts: (token: string): boolean => made.some((one) => one.token === token && one.expires > Date.now()),
  })

  function assume(form: Form): Answer {
    const { RoleArn = '', RoleSessionName = '', WebIdentityToken = '', DurationSeconds = '', Policy } = form
    const listed = Object.keys(form).filter((key) => key.startsWith('PolicyArns.'))
    const known = ['Action', 'Version', 'RoleArn', 'RoleSessionName', 'WebIdentityToken', 'DurationSeconds', 'Policy', ...listed]
    const seconds = Number(DurationSeconds)
    if (Object.keys(form).some((key) => !known.includes(key))) return refusal(400, 'ValidationError')
    if (!/^[\w+=,.@-]{2,64}$/.test(RoleSessionName) || !Number.isInteger(seconds) || seconds < 900 || seconds > 43_200)
      return refusal(400, 'ValidationError')
    if (listed.some((key, i) => key !== `PolicyArns.member.${i + 1}.arn`)) return refusal(400, 'ValidationError')
    if (Policy !== undefined && Policy.length > 2048) return refusal(400, 'PackedPolicyTooLarge')
    const token = JSON.parse(WebIdentityToken) as { audience: string; handle: string; tags: unknown }
    if (token.audience !== fake.trusted.audience) return refusal(400, 'InvalidIdentityToken')
    if (RoleArn !== fake.trusted.role || token.tags === undefined) return refusal(403, 'AccessDenied')
    const session: Made = { handle: RoleSessionName, token: `FwoG/${entropy.uuid()}+==`, form, expires: Date.now() + seconds * 1000 }
    made.push(session)
    const [account, role] = [RoleArn.split(':')[4], RoleArn.split('/').at(-1)]
    return {
      status: 200,
      body: `<AssumeRoleWithWebIdentityResponse xmlns="${namespace}">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>spiffe://corp.example/ns/finance</SubjectFromWebIdentityToken>
    <Audience>${escaped(token.audience)}</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::${account}:assumed-role/${role}/${RoleSessionName}</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:${RoleSessionName}</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <SessionToken>${session.token}</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/${entropy.uuid().replaceAll('-', '')}</SecretAccessKey>
      <Expiration>${new Date(session.expires).toISOString()}</Expiration>
      <AccessKeyId>ASIA${String(made.length).padStart(16, 'X')}</AccessKeyId>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
    <Provider>arn:aws:iam::${account}:oidc-provider/issuer.example/login</Provider>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>
`,
    }
  }

  function act({ call, headers, form }: Request): Answer {
    if (call !== 'POST /' || form['Version'] !== '2011-06-15') return { status: 302, body: '' }
    if (headers.authorization !== undefined) return refusal(403, 'InvalidClientTokenId')
    if (headers.accept !== 'text/xml') return { status: 200, body: '{}' }
    if (form['Action'] === 'GetCallerIdentity') return refusal(403, 'MissingAuthenticationToken')
    return form['Action'] === 'AssumeRoleWithWebIdentity' ? assume(form) : refusal(400, 'InvalidAction')
  }

  return fake
}

export type Fake = Awaited<ReturnType<typeof startFake>>
