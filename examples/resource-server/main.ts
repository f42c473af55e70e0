// node examples/resource-server/main.ts <issuer> <audience> <scope> [port]

import { createResourceServer } from './resource-server.ts'

const [issuer, audience, scope, port = '8080'] = process.argv.slice(2)
if (issuer === undefined || audience === undefined || scope === undefined) {
  console.error('usage: node examples/resource-server/main.ts <issuer> <audience> <scope> [port]')
  process.exit(2)
}
const listening = await createResourceServer({ issuer, audience, scope }).listen(Number(port))
console.log(`checking tokens of ${issuer} on http://127.0.0.1:${listening}`)
