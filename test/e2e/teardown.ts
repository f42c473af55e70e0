// After all end-to-end tests: ends the cluster that setup.ts started.
import './setup.ts'

// biome-ignore lint/style/noDefaultExport: jest asks for one
export default async function teardown(): Promise<void> {
  await globalThis.taskboundCluster?.release()
}
