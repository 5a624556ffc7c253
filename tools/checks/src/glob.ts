/** Matches paths with globs: `*` within a name, `**` over folders, `{a,b}` for alternatives. */
export function globToRegExp(glob: string): RegExp {
  let source = "";
  for (let i = 0; i < glob.length; i += 1) {
    const rest = glob.slice(i);
    const char = glob.charAt(i);
    if (rest.startsWith("**/")) {
      source += "(?:[^/]+/)*";
      i += 2;
    } else if (rest.startsWith("**")) {
      source += ".*";
      i += 1;
    } else if (char === "*") source += "[^/]*";
    else if (char === "{") source += "(?:";
    else if (char === "}") source += ")";
    else if (char === ",") source += "|";
    else source += char.replace(/[.+?^$()|[\]\\]/, "\\$&");
  }
  return new RegExp(`^${source}$`);
}
