/** The node that a call's client certificate names. */
import type { ServerUnaryCall } from "@grpc/grpc-js";

const NODE_USER = "system:mesh-node:";

/** Undefined: the certificate is of no node. */
export function nodeOf(call: Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">): string | undefined {
  const name = call.getAuthContext().sslPeerCertificate?.subject?.CN;
  if (typeof name !== "string" || !name.startsWith(NODE_USER) || name === NODE_USER) return undefined;
  return name.slice(NODE_USER.length);
}
