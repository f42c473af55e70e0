// Every type of provider, as the crash matrix and what is measured at the sources know it. A new one is a line here.

import type { SourceType, SubjectType } from './subject.ts'
import { githubApp } from './subjects/github-app.ts'
import { jwt } from './subjects/jwt.ts'
import { oauth } from './subjects/oauth.ts'
import { strictOauth } from './subjects/oauth-stand-in.ts'
import { postgres } from './subjects/postgres.ts'
import { serviceAccountToken } from './subjects/service-account-token.ts'
import { existing } from './subjects/static.ts'
import { vault } from './subjects/vault.ts'
import { webhook } from './subjects/webhook.ts'

/** Those that the matrix kills. */
export const subjects: Readonly<Record<string, SubjectType>> = {
  jwt,
  postgres,
  vault,
  webhook,
  githubApp,
  oauth: strictOauth,
  serviceAccountToken,
}

/** Of those: what waits for seconds at each end, or for an answer that may be on its way. They have rounds of their own, so that no other waits. */
export const slow: readonly string[] = ['githubApp', 'oauth', 'serviceAccountToken']

/** Those that stand beside them in a world where nobody is killed. */
export const spared: Readonly<Record<string, SubjectType>> = { static: existing }

/** Those that have no part in that either: what stands in for the source and takes a real login is of the level of providers. */
export const absent: readonly string[] = ['aws']

/** Those that a test of their own kills, of the level of providers: nobody can ask their source what is alive. */
export const killedApart: Readonly<Record<string, string>> = { aws: 'test/e2e/aws/life.servers.test.ts' }

/** Those at whose source nothing is made, so that a crash can lose nothing there. */
export const neverKilled: readonly string[] = ['static']

/** Those whose end is measured. */
export const sources: Readonly<Record<string, SourceType>> = { ...subjects, oauth }

/** Those that nobody can end: there is nothing to measure. */
export const endless: readonly string[] = ['aws', 'static']
