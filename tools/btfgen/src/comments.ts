/**
 * Finds the documentation of types in the C header: BTF has the layout but no comments.
 *
 * In: the header's text. Out: one text per type and per member, keyed `struct.member` or `enum.VALUE`.
 * A type's text is the block comment before it, a member's the comment on its line. A type ends with a `}` that is not
 * indented.
 */

export type Comments = ReadonlyMap<string, string>;

export function readComments(header: string): Comments {
  const comments = new Map<string, string>();
  for (const match of header.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:struct|enum) (\w+) \{([\s\S]*?)\n\}/g)) {
    const [, doc = "", type = "", body = ""] = match;
    comments.set(type, clean(doc));
    for (const line of body.split("\n")) {
      const member = /^\s*(?:[\w ]*\s)??(\w+)(?:\[\w+\])?(?: = [^,]+| : \w+)?[;,]\s*\/\*(.*)\*\/\s*$/.exec(line);
      if (member !== null) comments.set(`${type}.${member[1]}`, clean(member[2] ?? ""));
    }
  }
  return comments;
}

function clean(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trim())
    .filter((line) => line !== "")
    .join("\n");
}
