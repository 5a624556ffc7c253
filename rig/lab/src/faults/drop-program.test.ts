import assert from "node:assert/strict";
import { test } from "node:test";
import { macOf } from "../plan/addresses.js";
import { type DropRule, dropProgram, RANDOM, TC_ACT_SHOT, TC_ACT_UNSPEC } from "./drop-program.js";

const [A, B, C] = ["10.200.1.1", "10.200.2.1", "10.200.0.2"].map(macOf) as [string, string, string];
const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** Runs the program as the kernel would: a load beyond the frame ends it with 0. */
function verdict(rule: DropRule, frame: Buffer, random = 0): number {
  const [, ...lines] = dropProgram(rule).split(",");
  const program = lines.map((line) => line.split(" ").map(Number) as [code: number, jt: number, jf: number, k: number]);
  let value = 0;
  for (let at = 0; ; at++) {
    const [code, jt, jf, k] = program[at] ?? assert.fail(`the program has no instruction ${at}`);
    assert.ok(jt >= 0 && jt < 256 && jf >= 0 && jf < 256, `jump ${jt} ${jf}`);
    if (code === 6) return k;
    if (code === 32) value = k === RANDOM ? random : frame.readUInt32BE(k);
    else if (code === 40) value = frame.readUInt16BE(k);
    else if (code === 48) value = frame.readUInt8(k);
    else if (code === 21) at += value === k ? jt : jf;
    else if (code === 37) at += value > k ? jt : jf;
    else if (code === 53) at += value >= k ? jt : jf;
    else assert.fail(`unknown code ${code}`);
  }
}

function frame(from: string, to: string, type = 0x0800, body: readonly number[] = []): Buffer {
  const hex = [to, from].map((mac) => mac.replaceAll(":", "")).join("");
  const bytes = Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(2), Buffer.alloc(60), Buffer.alloc(20)]);
  bytes.writeUInt16BE(type, 12);
  bytes.set(body, 14);
  return bytes;
}

const icmpv6 = (type: number) => [...Array(6).fill(0), 58, ...Array(33).fill(0), type];
const drops = (rule: DropRule, ...of: Parameters<typeof frame>) => {
  const found = verdict(rule, frame(...of));
  assert.ok(found === TC_ACT_SHOT || found === TC_ACT_UNSPEC);
  return found === TC_ACT_SHOT;
};

test("frames from one list of machines to the other are dropped, in this direction only", () => {
  const rule = { from: [A], to: [B, C], share: 1 };
  const cases: [from: string, to: string, dropped: boolean][] = [
    [A, B, true],
    [A, C, true],
    [B, A, false],
    [C, B, false],
    [A, A, false],
    [A, BROADCAST, false],
  ];
  for (const [from, to, dropped] of cases) assert.equal(drops(rule, from, to), dropped, `${from} ${to}`);
});

test("a list that is absent stands for every machine", () => {
  assert.ok(drops({ from: [A], share: 1 }, A, B));
  assert.ok(drops({ from: [A], share: 1 }, A, BROADCAST));
  assert.ok(!drops({ from: [A], share: 1 }, B, A));
  assert.ok(drops({ to: [A, B], share: 1 }, C, B));
  assert.ok(!drops({ to: [A, B], share: 1 }, B, C));
});

test("IPv4 and IPv6 are dropped; ARP and IPv6 neighbour discovery pass, so that senders see silence", () => {
  const rule = { from: [A], share: 1 };
  assert.ok(drops(rule, A, B, 0x86dd, [0, 0, 0, 0, 0, 0, 6]));
  assert.ok(!drops(rule, A, B, 0x0806));
  const types = [128, 134, 135, 136, 137];
  assert.deepEqual(
    types.map((type) => drops(rule, A, B, 0x86dd, icmpv6(type))),
    [true, true, false, false, true],
  );
});

test("a share of the frames is dropped by a random number", () => {
  const at = (share: number, random: number) => verdict({ from: [A], share }, frame(A, B), random) === TC_ACT_SHOT;
  assert.deepEqual([at(0.05, 0), at(0.05, 0.05 * 2 ** 32 - 1), at(0.05, 0.05 * 2 ** 32 + 1)], [true, true, false]);
  assert.deepEqual([at(1, 0), at(1, 2 ** 32 - 1)], [true, true]);
});

test("the largest lab's lists fit into the jumps of a classic program", () => {
  const many = (second: number) => Array.from({ length: 17 }, (_, n) => macOf(`10.231.${second}.${n}`));
  const rule = { from: many(1), to: many(2), share: 0.5 };
  assert.ok(drops(rule, macOf("10.231.1.16"), macOf("10.231.2.16")));
  assert.ok(!drops(rule, macOf("10.231.2.16"), macOf("10.231.1.16")));
});
