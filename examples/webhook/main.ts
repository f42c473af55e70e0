// Runs the service: issuer of logins, its own audience, certificate, key, port. The issuer's certificate must be one that Node trusts: for
// that of the operator's own authority start with NODE_EXTRA_CA_CERTS=<ca.crt of the ConfigMap taskbound-issuer-ca-bundle>.

import { readFileSync } from 'node:fs'
import { createWebhookServer } from './webhook-server.ts'

const [issuer, audience, certificate, key, port] = process.argv.slice(2)
if (issuer === undefined || audience === undefined || certificate === undefined || key === undefined) {
  console.error('usage: node examples/webhook/main.ts ISSUER-OF-LOGINS AUDIENCE CERTIFICATE KEY [PORT]')
  process.exit(2)
}
const tls = { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') }
console.log(`listening on ${await createWebhookServer({ tls, issuer, audience }).listen(Number(port ?? 8443))}`)
