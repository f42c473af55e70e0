// What a task gets of its session: the three keys for an environment, the file that every AWS SDK reads, and what a `credential_process`
// prints, by which an SDK notices a renewal.

import { formatTime } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import type { Keys } from './answers.ts'
import type { AwsParams } from './params.ts'

const text = (material: Material): string => new TextDecoder().decode(material.reveal())

/** Field name to bytes. The keys are of characters that no format here escapes. */
export function outputs({ region }: AwsParams, keys: Keys): Readonly<Record<string, Material>> {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = keys
  const file = [
    '[default]',
    `aws_access_key_id = ${text(accessKeyId)}`,
    `aws_secret_access_key = ${text(secretAccessKey)}`,
    `aws_session_token = ${text(sessionToken)}`,
    '',
  ]
  const printed = {
    Version: 1,
    AccessKeyId: text(accessKeyId),
    SecretAccessKey: text(secretAccessKey),
    SessionToken: text(sessionToken),
    Expiration: formatTime(expiresAt),
  }
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken,
    region: new Material(region),
    credentials: new Material(file.join('\n')),
    process: new Material(JSON.stringify(printed)),
  }
}
