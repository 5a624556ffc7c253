/**
 * What reaches a terminal: foreign text as one printable line, and a last escape of everything that is written.
 *
 * Names, versions, messages and map names come from other clusters, from nodes, from pods, and from a kubeconfig. Where they
 * become a cell or a sentence they are made one line; the last escape catches what was missed there.
 */
import { printable } from "@isthmus/model";

/** A sentence with its examples; longer than any that we write. */
const LINE_LENGTH = 4_096;

export function lineText(text: string): string {
  return printable(text, LINE_LENGTH);
}

/** The colours of findings.ts, and everything that does not print but for line ends and tabs. */
const COLOR_OR_UNPRINTABLE = /(?![\n\t])(?:\p{Cc}\[(?:0|3[123])m|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}])/gu;

/** Of text in many lines, with or without our colours. */
export function terminalText(text: string, { color }: { readonly color: boolean }): string {
  return text.replace(COLOR_OR_UNPRINTABLE, (found) =>
    color && found.startsWith("\u001b[") ? found : printable(found),
  );
}
