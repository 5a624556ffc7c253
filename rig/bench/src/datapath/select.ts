/** Nanoseconds of one choice of a backend, by BPF test runs, minus those of a program that does everything but the choice. */
import type { TestContext } from "node:test";
import { native, Rank } from "@isthmus/bpf";
import { createWriter, loadTestObject, openSelection } from "@isthmus/bpf/testing";
import { median } from "./stats.js";

export interface SelectFigures {
  /** Case → nanoseconds. */
  readonly netNs: Readonly<Record<string, number>>;
}

const REPEAT = 300_000;
const ROUNDS = 7;

export async function measureSelect(): Promise<SelectFigures> {
  const closers: (() => void)[] = [];
  const scope = { after: (close: () => void) => closers.push(close) } as unknown as TestContext;
  try {
    const loaded = loadTestObject(scope, "select_test");
    const maps = await openSelection(loaded);
    const { backend, service } = createWriter(maps);
    const many = (from: number, count: number, state: Rank = Rank.Up) =>
      Array.from({ length: count }, (_, i) => backend({ index: from + i, cluster: 2, node: 3, state }));
    service(1, [{ ids: many(1, 10), tries: 3, cluster: 2 }]);
    service(2, [{ ids: many(100, 1000), tries: 3, cluster: 2 }]);
    service(3, [{ ids: many(2000, 8, Rank.Down), tries: 7 }]);
    service(4, [
      { ids: many(3000, 4, Rank.Down), tries: 3, cluster: 2 },
      { ids: many(3100, 4), tries: 3, cluster: 2 },
    ]);

    const run = async (program: string, number: number) => {
      const packet = Buffer.alloc(24);
      packet.writeUInt32LE(number, 16);
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        times.push((await native().testRun(loaded.program(program), packet, REPEAT)).durationNs);
      }
      return median(times);
    };
    const empty = await run("select_nothing", 1);
    const net = async (number: number) => (await run("select_backend", number)) - empty;
    return {
      netNs: {
        "10 backends": await net(1),
        "1,000 backends": await net(2),
        "8 probed, all down": await net(3),
        "4 down, then the next tier": await net(4),
      },
    };
  } finally {
    for (const close of closers.reverse()) close();
  }
}
