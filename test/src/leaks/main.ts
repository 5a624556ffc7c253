/** `make leaks`, `make leaks-check`: 0 no violation, or all found that is broken on purpose; 1 otherwise, and on an error; 2 usage. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keepLab, openLab } from "@isthmus/lab";
import { MeshError } from "@isthmus/model";
import { checkLeakTest, checkText } from "./check.js";
import { nowMicros } from "./history.js";
import { type LeakOptions, parseOptions, USAGE } from "./options.js";
import { reportJson, reportText } from "./report.js";
import { runLeaks } from "./run.js";

/** With fewer, the test shows nothing. */
const LEAST_CERTAIN = 0.3;

async function main(options: LeakOptions): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort(new Error("interrupted")));
  const began = nowMicros();
  const say = (sentence: string) => {
    const seconds = ((nowMicros() - began) / 1e6).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${sentence}\n`);
  };
  const shape = {
    name: options.lab,
    clusters: ["east", "west"],
    nodes: 2,
    bare: false,
    datapathMode: "packets",
  } as const;
  const kept = await keepLab(shape, { onProgress: say, signal: stop.signal });
  const out = join(options.out, "leaks");
  await mkdir(out, { recursive: true });
  try {
    const lab = await openLab(options.lab);
    if (options.broken.length > 0) {
      const checked = await checkLeakTest(lab, options.broken, { ...options, say, signal: stop.signal });
      process.stdout.write(checkText(checked));
      return checked.every(({ findings }) => findings.length === 0) ? 0 : 1;
    }
    const outcome = await runLeaks(lab, { ...options, out, say, signal: stop.signal });
    await writeFile(join(options.out, "leaks.json"), reportJson(outcome));
    process.stdout.write(reportText(outcome));
    process.stderr.write(`The report: ${join(options.out, "leaks.json")}\n`);
    if (outcome.certain < LEAST_CERTAIN)
      throw new Error(
        `Only ${Math.round(outcome.certain * 100)} % of the probes could be judged: the test shows nothing`,
      );
    return outcome.tally.violations === 0 ? 0 : 1;
  } finally {
    await (options.keep ? kept.leave() : kept.release());
  }
}

function read(argv: readonly string[]): LeakOptions | number {
  try {
    const options = parseOptions(argv, () => Math.floor(Math.random() * 2 ** 31));
    if (!options.help) return options;
    process.stdout.write(USAGE);
    return 0;
  } catch (error) {
    process.stderr.write(`${MeshError.from(error).message}\n${USAGE}`);
    return 2;
  }
}

const options = read(process.argv.slice(2));
process.exitCode =
  typeof options === "number"
    ? options
    : await main(options).catch((thrown: unknown) => {
        process.stderr.write(`${MeshError.from(thrown).message}\n`);
        return 1;
      });
