// An STS that is shown the logins of tasks.

import { decodeJwt } from 'jose'
import { startFake } from '../../../providers/aws/fake.ts'
import { credentialOf, type World } from '../world.ts'
import { type Sink, visitor } from './sink.ts'

export async function awsSink({ scenario, provide, atEnd }: World): Promise<Sink> {
  const fake = await startFake()
  atEnd(fake.close)
  const audience = `sts.amazonaws.com/${scenario.name}`
  fake.trusted.audience = audience
  const sent: unknown[] = []
  fake.before = ({ form }) => {
    sent.push({ ...form })
    const { WebIdentityToken: login } = form
    if (login === undefined) return undefined
    // it reads what it is told as the claims themselves
    const { taskbound, 'https://aws.amazon.com/tags': tags } = decodeJwt(login) as Readonly<Record<string, unknown>>
    Object.assign(form, { WebIdentityToken: JSON.stringify({ audience, handle: (taskbound as { handle: string }).handle, tags }) })
    return undefined
  }
  const provider = await provide('aws-sink', {
    type: 'aws',
    aws: {
      roleArn: fake.trusted.role,
      region: 'eu-central-1',
      endpoint: `https://localhost:${fake.port}`,
      caBundle: fake.caBundle,
      audience,
      sessions: [{ name: 'payroll:read', policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'] }],
    },
  })
  const credential = { ...credentialOf(provider, 'payroll:read'), ttlSeconds: 900 }
  return {
    type: 'aws',
    visit: visitor(scenario, 'aws', credential, 'ExpiresAt'),
    sent: () => [sent, fake.requests.map(({ headers }) => headers)],
  }
}
