/** Private keys: EC P-256, as PKCS#8 PEM text. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { MeshError } from "@isthmus/model";

export const SIGNING = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A new private key as PKCS#8 PEM. */
export async function createKey(): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey(SIGNING, true, ["sign", "verify"]);
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}

/** Both halves of a private key for Web Crypto. Throws `PKI_KEY` when it is not an EC P-256 key in PEM. */
export async function importKeyPair(pem: string): Promise<{ publicKey: CryptoKey; privateKey: CryptoKey }> {
  try {
    const key = createPrivateKey(pem);
    const pkcs8 = key.export({ format: "der", type: "pkcs8" });
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    return {
      privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, SIGNING, true, ["sign"]),
      publicKey: await crypto.subtle.importKey("spki", spki, SIGNING, true, ["verify"]),
    };
  } catch (cause) {
    throw new MeshError({ code: "PKI_KEY" }, "Cannot use the private key: it is not an EC P-256 key in PEM", { cause });
  }
}
type CryptoKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;
