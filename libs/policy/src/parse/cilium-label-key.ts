/** Reads keys of labels in Cilium policies, which may begin with the source of the label: `k8s:app`. */
import { describe, type Reader } from "./findings.js";
import { checkLabelKey } from "./label-selector.js";

/** The key and its source, "" where none is written; with a finding when the source is not among `sources`. */
export function readSourcedKey(
  reader: Reader,
  written: string,
  path: string,
  sources: readonly string[],
): { readonly source: string; readonly key: string } {
  const colon = written.indexOf(":");
  const [source, key] = [written.slice(0, Math.max(colon, 0)), written.slice(colon + 1)];
  checkLabelKey(reader, key, path);
  if (source !== "" && !sources.includes(source))
    reader.refuse(path, `must be a label of source ${alternatives(sources)}, not ${describe(source)}`);
  return { source, key };
}

/** "a, b or c" */
function alternatives(texts: readonly string[]): string {
  return `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
}
