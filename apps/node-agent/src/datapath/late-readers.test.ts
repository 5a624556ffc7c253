/** Programs that loaded a tier word and then pause, while the table changes and grace periods pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DatapathPort, FrontendRow, ServiceRow, TierWord } from "@isthmus/bpf";
import { createMemoryKernel, fastCheckOptions, type KernelSizes, Killed, SMALL_KERNEL } from "@isthmus/testing";
import fc from "fast-check";
import { frontendOf, makePlan, readSlot, startBench } from "./testing/testbed.js";

/**
 * Watches such programs. They may read the slots of their word until the end of a grace period that began after the
 * word was replaced. After every write, each backend that they reach must be live and belong to the Service.
 */
function watchLateReaders(kernel: ReturnType<typeof createMemoryKernel>) {
  const held = new Map<string, { readonly which: number; readonly word: bigint; lastCurrent: number }>();
  const violations = new Set<string>();
  let at = 0;
  let rows: readonly (number | undefined)[] = [];

  function look(port: DatapathPort): void {
    at++;
    for (const [which, row] of rows.entries()) {
      if (row === undefined) continue;
      for (const word of ServiceRow.decode(port.services.read(row)).tier) {
        if (word !== 0n) held.set(`${which} ${word}`, { which, word, lastCurrent: at });
      }
    }
    for (const { which, word } of held.values()) {
      const { line, slots } = TierWord.fromWord(word);
      for (let slot = 0; slot < slots; slot++) {
        const { backend } = readSlot(port, line, slot);
        if (!backend.startsWith(`1:10.1.${which}.`))
          violations.add(`service ${which} reaches ${backend} in slot ${slot}`);
      }
    }
  }

  return {
    violations,
    /** The port of the process that writes now, with its grace periods watched. */
    follow(port: DatapathPort): DatapathPort {
      kernel.log.onWrite(() => look(port));
      return {
        ...port,
        async gracePeriod() {
          look(port);
          const began = at;
          await port.gracePeriod();
          for (const [key, { lastCurrent }] of held) if (lastCurrent < began) held.delete(key);
          look(port);
        },
      };
    },
    /** Learns the rows of the Services. */
    async learn(port: DatapathPort, ips: readonly string[]): Promise<void> {
      const frontends = await port.frontends.load();
      rows = ips.map((ip) => {
        const bytes = frontends.get(frontendOf(ip));
        return bytes === undefined ? undefined : FrontendRow.decode(bytes).service;
      });
      look(port);
    },
  };
}

const SIZES: KernelSizes = { ...SMALL_KERNEL, frontends: 16, services: 8, backends: 96, linesPerSegment: 8 };

const IPS = ["10.96.0.1", "10.96.0.2"];
const few = fc.uniqueArray(fc.integer({ min: 0, max: 19 }), { minLength: 1, maxLength: 19 });
const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constant("set" as const),
      which: fc.nat(1),
      tiers: fc.array(few, { maxLength: 2 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ what: fc.constant("one" as const), which: fc.nat(1), host: fc.nat(19) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("hold" as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("release" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("die" as const), after: fc.nat(6) }) },
);

test("programs with an older tier word read living backends of the Service after every write", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      const kernel = createMemoryKernel(SIZES);
      const late = watchLateReaders(kernel);
      const model: number[][][] = [[[0]], [[0]]];
      /** Services share no backend. */
      const planOf = (which: number) => {
        const tiers = (model[which] ?? []).filter((tier) => tier.length > 0);
        return [
          makePlan(
            `a/s${which}`,
            IPS[which] ?? "",
            tiers.map((tier) => tier.map((i) => `10.1.${which}.${i}`)),
          ),
        ];
      };
      let port = late.follow(kernel.open());
      let bench = await startBench(port);
      const apply = async (...which: readonly number[]) => {
        await bench.set(...which.map(planOf));
        await late.learn(port, IPS);
      };
      await apply(0, 1);

      for (const step of actions) {
        if (step.what === "hold") kernel.holdGrace();
        else if (step.what === "release") kernel.releaseGrace();
        else if (step.what === "die") kernel.log.killBefore(step.after);
        else {
          if (step.what === "set") model[step.which] = step.tiers;
          else {
            const tier = (model[step.which] ?? [])[0] ?? [];
            const now = tier.includes(step.host) ? tier.filter((i) => i !== step.host) : [...tier, step.host];
            model[step.which] = [now, ...(model[step.which] ?? []).slice(1)];
          }
          try {
            await apply(step.which);
          } catch (thrown) {
            if (!(thrown instanceof Killed)) throw thrown;
            kernel.releaseGrace();
            port = late.follow(kernel.open());
            bench = await startBench(port);
            await apply(0, 1);
          }
        }
      }
      kernel.releaseGrace();
      await bench.datapath.settled().catch((thrown: unknown) => assert.ok(thrown instanceof Killed));
      assert.deepEqual([...late.violations], []);
    }),
    fastCheckOptions(150),
  );
});
