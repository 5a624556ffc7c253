/** Ages and bytes for people: `0.4s`, `12s`, `3m`, `5h`; hexadecimal for ids. */
export function age(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)}s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)}s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)}m`;
  return `${Math.round(ms / 3_600_000)}h`;
}

/** Lower case, two digits a byte. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Quotes a word for a command that a person copies into a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The beginning of a kubectl command for one cluster; the operator's current context may be another cluster. */
export function kubectl(context: string): string {
  return `kubectl --context ${shellWord(context)}`;
}

/** `1 node`, `2 nodes` */
export function counted(count: number | bigint, noun: string): string {
  return `${count} ${noun}${BigInt(count) === 1n ? "" : "s"}`;
}

/** `99999`, `120k`, `8.12M`: of more than five digits three, rounded down. */
export function shortCount(count: bigint): string {
  if (count < 100_000n) return String(count);
  const digits = String(count);
  const thousands = Math.floor((digits.length - 1) / 3);
  const whole = digits.length - 3 * thousands;
  const part = digits.slice(whole, 3);
  return `${digits.slice(0, whole)}${part === "" ? "" : `.${part}`}${UNITS[thousands] ?? ""}`;
}

/** Of a thousand, a million, … up to 2^64. */
const UNITS = ["", "k", "M", "G", "T", "P", "E"];
