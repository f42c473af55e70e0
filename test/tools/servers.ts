// Builds the servers that tests run against, before any of those tests waits for one: those that are named, or all.
import { ensureKeycloak } from './keycloak/build.ts'
import { ensureMoto } from './moto/build.ts'
import { ensureVault } from './vault/build.ts'

const servers = { vault: ensureVault, keycloak: ensureKeycloak, moto: ensureMoto }
const [, , ...named] = process.argv
for (const [name, ensure] of Object.entries(servers)) if (named.length === 0 || named.includes(name)) await ensure(process.env)
