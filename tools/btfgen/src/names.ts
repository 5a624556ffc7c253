/** Converts C names to TypeScript names, and formats doc comments for the generated files. */

/** `frontend_key` -> `FrontendKey`. */
export function pascal(name: string): string {
  return name
    .split("_")
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1).toLowerCase())
    .join("");
}

/** `vip_port` -> `vipPort`. */
export function camel(name: string): string {
  const text = pascal(name);
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** `tier_word` -> `tier-word`. */
export function kebab(name: string): string {
  return name.replaceAll("_", "-");
}

/** Padding is not part of a value: it is written as zeros and not read. */
export function isPadding(name: string): boolean {
  return /^(pad|spare)\d*$/.test(name);
}

export function docComment(text: string | undefined, indent = ""): string {
  if (text === undefined) return "";
  const lines = text.split("\n");
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}
