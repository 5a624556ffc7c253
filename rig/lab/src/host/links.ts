/** Changes network links, routes and filters with `ip` and `tc`: one process for many changes, in any network namespace. */
import { run } from "./run.js";

/** A network namespace: the root namespace, or that of a process. */
export type NetworkNamespace = "root" | { readonly pid: number };

export async function ip(where: NetworkNamespace, lines: readonly string[]): Promise<void> {
  await run([...enter(where), "ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

export async function tc(where: NetworkNamespace, lines: readonly string[]): Promise<void> {
  await run([...enter(where), "tc", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

export function ipJson(where: NetworkNamespace, args: readonly string[]): Promise<unknown> {
  return json(where, ["ip", "-j", ...args]);
}

export function tcJson(where: NetworkNamespace, args: readonly string[]): Promise<unknown> {
  return json(where, ["tc", "-j", ...args]);
}

async function json(where: NetworkNamespace, argv: readonly string[]): Promise<unknown> {
  const text = await run([...enter(where), ...argv]);
  return text.trim() === "" ? [] : JSON.parse(text);
}

export function enter(where: NetworkNamespace): string[] {
  return where === "root" ? [] : ["nsenter", `--net=/proc/${where.pid}/ns/net`, "--"];
}
