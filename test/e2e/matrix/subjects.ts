// Every type of provider, as the crash matrix and what is measured at the sources know it. A new one is a line here.

import type { StartSubject } from './subject.ts'
import { startJwt } from './subjects/jwt.ts'
import { startPostgres } from './subjects/postgres.ts'
import { startVault } from './subjects/vault.ts'
import { startWebhook } from './subjects/webhook.ts'

export const subjects: Readonly<Record<string, StartSubject>> = {
  jwt: startJwt,
  postgres: startPostgres,
  vault: startVault,
  webhook: startWebhook,
}
