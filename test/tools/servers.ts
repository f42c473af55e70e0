// Builds the servers that the tests of the providers run against, before any of those tests waits for one.
import { ensureMoto } from './moto/build.ts'
import { ensureVault } from './vault/build.ts'

await ensureVault(process.env)
await ensureMoto(process.env)
