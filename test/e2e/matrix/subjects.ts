// Every type of provider, as the crash matrix and what is measured at the sources know it. A new one is a line here.

import type { SubjectType } from './subject.ts'
import { jwt } from './subjects/jwt.ts'
import { postgres } from './subjects/postgres.ts'
import { vault } from './subjects/vault.ts'
import { webhook } from './subjects/webhook.ts'

export const subjects: Readonly<Record<string, SubjectType>> = { jwt, postgres, vault, webhook }

/** Types that have no subject yet: neither killed nor measured here. */
export const withoutSubject: readonly string[] = ['aws', 'githubApp', 'oauth', 'serviceAccountToken', 'static']
