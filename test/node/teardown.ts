// After all tests on the node: ends it, and fails where anything of it is left on the machine.
import './setup.ts'
import { leftovers } from '../cluster/node/clean.ts'

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function teardown(): Promise<void> {
  await globalThis.taskboundNode?.stop()
  const left = leftovers()
  if (left.length > 0) throw new Error(`the node left:\n${left.join('\n')}`)
}
