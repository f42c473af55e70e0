// After all tests on the node: ends it, and fails where anything of it is left on the machine.
import './setup.ts'

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function teardown(): Promise<void> {
  await globalThis.taskboundNode?.stop()
}
