// The seal, put together: its keys come from a file, where there is one, or else from a Secret that is made once.

import { readSecretFile } from '../config/files.ts'
import type { Settings } from '../config/settings.ts'
import { systemEntropy as entropy } from '../config/system.ts'
import { loadOrCreateDocument } from '../issuer/key-store.ts'
import type { KubeClient } from '../kube/client.ts'
import { createSeal, type Seal } from '../lib/seal.ts'
import { parseSealKeys, sealKeys } from '../runtime/ledger/seal-keys.ts'
import { createKeyStore, names } from '../runtime/storage.ts'
import { must } from './basics.ts'

export async function buildSeal({ namespace, sealKeyFile }: Settings, client: KubeClient): Promise<Seal> {
  const keys =
    sealKeyFile === undefined
      ? must(await loadOrCreateDocument(createKeyStore(client, namespace, names.sealKeys), sealKeys(entropy)))
      : must(parseSealKeys(must(readSecretFile(sealKeyFile))))
  return createSeal(keys, entropy.bytes)
}
