/** Subjects and alternative names, between plain text and X.509. */
import { isIP } from "node:net";
import { type JsonName, SubjectAlternativeNameExtension } from "./x509.js";

/** Organizations come first, as in the certificates of Kubernetes itself. */
export function subject(cn: string, organizations: readonly string[] = []): JsonName {
  return [...organizations.map((o) => ({ O: [o] })), { CN: [cn] }];
}

/** `10.0.0.1`, `fd00::1`, `spiffe://…` and DNS names; no extension for an empty list. */
export function alternativeNames(sans: readonly string[]): SubjectAlternativeNameExtension[] {
  if (sans.length === 0) return [];
  return [new SubjectAlternativeNameExtension(sans.map((value) => ({ type: kind(value), value })))];
}

function kind(value: string): "ip" | "url" | "dns" {
  if (isIP(value) !== 0) return "ip";
  return value.includes("://") ? "url" : "dns";
}
