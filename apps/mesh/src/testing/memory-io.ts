/** An `Io` that stores its output in memory. */
import type { Io } from "../output/io.js";
import { runMesh } from "../run.js";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line in this process. */
export async function runForTest(argv: readonly string[], env: Io["env"] = {}, color = false): Promise<Ran> {
  let [out, err] = ["", ""];
  const code = await runMesh(argv, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env,
    color,
    signal: new AbortController().signal,
  });
  return { code, out, err };
}
