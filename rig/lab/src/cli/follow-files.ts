/** Prints what is appended to files, until Ctrl-C, with a header at each change of file. Reads a rotated file from its beginning. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";
import type { LabIo } from "./io.js";

const EVERY_MS = 200;

/** `seen`: file name → number of bytes shown. Resolves when the signal is aborted, or when the folder is removed. */
export async function followFiles(folder: string, seen: Map<string, number>, io: Pick<LabIo, "out" | "signal">) {
  let last = seen.size === 1 ? [...seen.keys()][0] : undefined;
  while (io.signal?.aborted !== true) {
    for (const [name, from] of seen) {
      const news = await readFrom(join(folder, name), from);
      if (news === undefined) return;
      seen.set(name, news.size);
      if (news.text === "") continue;
      io.out(`${name === last ? "" : `==> ${name} <==\n`}${news.text}`);
      last = name;
    }
    await sleep(systemClock, EVERY_MS, io.signal);
  }
}

/** Reads from the offset to the end of the last whole line; undefined when the file does not exist. */
async function readFrom(file: string, offset: number): Promise<{ text: string; size: number } | undefined> {
  const handle = await open(file).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const from = size < offset ? 0 : offset;
    const bytes = Buffer.alloc(size - from);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
    const whole = bytes.subarray(0, bytes.subarray(0, bytesRead).lastIndexOf(10) + 1);
    return { text: whole.toString(), size: from + whole.length };
  } finally {
    await handle.close();
  }
}
