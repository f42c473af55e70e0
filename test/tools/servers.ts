// Builds the servers that the tests of the providers run against, before any of those tests waits for one.
import { ensureKeycloak } from './keycloak/build.ts'
import { ensureMoto } from './moto/build.ts'
import { ensureVault } from './vault/build.ts'

await ensureVault(process.env)
await ensureKeycloak(process.env)
await ensureMoto(process.env)
