/**
 * The private key with which this cluster authenticates to the store: created here, kept in a Secret, never leaves the cluster.
 *
 * Replicas share it: the first one creates the Secret, the others read it. Only a certificate request (CN = cluster name) leaves
 * the cluster.
 */
import { hasStatus, type KubeClient, type KubeSecret, SECRETS } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import { createKey } from "@isthmus/pki";

const NAME = "mesh-store-key";
const FIELD = "tls.key";

/** Returns the key as PKCS#8 PEM. Throws `STORE_KEY` when the Secret has none. */
export async function storeKey(client: KubeClient, namespace: string, signal: AbortSignal): Promise<string> {
  const kept = await client.get<KubeSecret>(SECRETS, NAME, { namespace, signal });
  if (kept !== undefined) return keyOf(kept, namespace);
  const key = await createKey();
  const secret: KubeSecret = {
    metadata: { namespace, name: NAME },
    type: "Opaque",
    data: { [FIELD]: Buffer.from(key).toString("base64") },
  };
  try {
    await client.create(SECRETS, secret, { signal });
    return key;
  } catch (thrown) {
    if (!hasStatus(thrown, 409)) throw thrown;
    return storeKey(client, namespace, signal);
  }
}

function keyOf(secret: KubeSecret, namespace: string): string {
  const data = secret.data?.[FIELD];
  if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
  const sentence = `Cannot use Secret "${namespace}/${NAME}": field "${FIELD}" is missing, delete the Secret to have a new key made`;
  throw new MeshError({ code: "STORE_KEY", name: NAME }, sentence);
}
