/** Changes network links and routes with `ip -batch`: one process for many changes, in any network namespace. */
import { run } from "./run.js";

/** A network namespace: the root namespace, or that of a process. */
export type NetworkNamespace = "root" | { readonly pid: number };

export async function ip(where: NetworkNamespace, lines: readonly string[]): Promise<void> {
  await run([...enter(where), "ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

export async function ipJson(where: NetworkNamespace, args: readonly string[]): Promise<unknown> {
  const text = await run([...enter(where), "ip", "-j", ...args]);
  return text.trim() === "" ? [] : JSON.parse(text);
}

export function enter(where: NetworkNamespace): string[] {
  return where === "root" ? [] : ["nsenter", `--net=/proc/${where.pid}/ns/net`, "--"];
}
