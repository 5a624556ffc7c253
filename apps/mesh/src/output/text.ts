/**
 * The final escape of everything that is printed to a terminal.
 *
 * Names, versions, messages and map names come from other clusters, nodes, pods and a kubeconfig. `lineText` of libs/model makes
 * them one line where they become a cell or a sentence; `terminalText` escapes what was missed there.
 */
import { printable } from "@isthmus/model";

/** Matches the colours of findings.ts, and every unprintable character except line ends and tabs. */
const COLOR_OR_UNPRINTABLE = /(?![\n\t])(?:\p{Cc}\[(?:0|3[123])m|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}])/gu;

/** Escapes text of many lines; with `color`, the colours of findings.ts pass. */
export function terminalText(text: string, { color }: { readonly color: boolean }): string {
  return text.replace(COLOR_OR_UNPRINTABLE, (found) =>
    color && found.startsWith("\u001b[") ? found : printable(found),
  );
}
