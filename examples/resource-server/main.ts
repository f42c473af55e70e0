// node examples/resource-server/main.ts <issuer> <audience> <scope> [port] [host]

import { createResourceServer } from './resource-server.ts'

const [issuer, audience, scope, port = '8080', host = '127.0.0.1'] = process.argv.slice(2)
if (issuer === undefined || audience === undefined || scope === undefined) {
  console.error('usage: node examples/resource-server/main.ts <issuer> <audience> <scope> [port] [host]')
  process.exit(2)
}
const listening = await createResourceServer({ issuer, audience, scope }).listen(Number(port), host)
console.log(`checking tokens of ${issuer} on http://${host}:${listening}`)
