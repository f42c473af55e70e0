// Every type of provider, as the crash matrix and what is measured at the sources know it. A new one is a line here.

import type { SourceType, SubjectType } from './subject.ts'
import { githubApp } from './subjects/github-app.ts'
import { jwt } from './subjects/jwt.ts'
import { oauth } from './subjects/oauth.ts'
import { postgres } from './subjects/postgres.ts'
import { serviceAccountToken } from './subjects/service-account-token.ts'
import { vault } from './subjects/vault.ts'
import { webhook } from './subjects/webhook.ts'

/** Those that the common matrix kills. */
export const subjects: Readonly<Record<string, SubjectType>> = { jwt, postgres, vault, webhook }

/**
 * Those that a test of their own kills, of this level: there a crash can leave behind what only time ends, for which a round cannot wait, or
 * nobody lists what is alive.
 */
export const killedApart: Readonly<Record<string, { readonly level: 'e2e' | 'providers'; readonly test: string }>> = {
  aws: { level: 'providers', test: 'test/e2e/aws/life.servers.test.ts' },
  githubApp: { level: 'e2e', test: 'test/e2e/github/kill.test.ts' },
  oauth: { level: 'e2e', test: 'test/e2e/oauth/kill.test.ts' },
  serviceAccountToken: { level: 'e2e', test: 'test/e2e/service-account-token.test.ts' },
}

/** Those at whose source nothing is made, so that a crash can lose nothing there. */
export const neverKilled: readonly string[] = ['static']

/** Those whose end is measured. */
export const sources: Readonly<Record<string, SourceType>> = { ...subjects, githubApp, oauth, serviceAccountToken }

/** Those that nobody can end: there is nothing to measure. */
export const endless: readonly string[] = ['aws', 'static']
