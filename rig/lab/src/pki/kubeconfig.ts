/** Kubeconfig files as JSON, which is YAML. Certificates are embedded, so that a file can be copied elsewhere. */

/** PEM text, or a file that holds a bearer token. */
export type KubeCredential = { readonly certificate: string; readonly key: string } | { readonly tokenFile: string };

export interface KubeContext {
  /** Name of the context, its cluster and its user. */
  readonly name: string;
  readonly server: string;
  /** PEM. */
  readonly authority: string;
  readonly credential: KubeCredential;
}

/** The first context is the current one. */
export function kubeconfig(contexts: readonly KubeContext[]): string {
  const content = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": contexts[0]?.name ?? "",
    clusters: contexts.map((context) => ({
      name: context.name,
      cluster: { server: context.server, "certificate-authority-data": base64(context.authority) },
    })),
    users: contexts.map((context) => ({ name: context.name, user: user(context.credential) })),
    contexts: contexts.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function user(credential: KubeCredential): Record<string, string> {
  if ("tokenFile" in credential) return { tokenFile: credential.tokenFile };
  return {
    "client-certificate-data": base64(credential.certificate),
    "client-key-data": base64(credential.key),
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
