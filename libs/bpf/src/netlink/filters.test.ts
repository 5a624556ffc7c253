/** The bytes of requests about filters, written by hand from the kernel's headers, and of what it answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createClsact,
  createFilter,
  deleteClsact,
  deleteFilter,
  listFilters,
  parseFilter,
  replaceFilter,
  requireClsact,
} from "./filters.js";
import { NetlinkFlag, type NetlinkRequest } from "./messages.js";

/** Bytes of lines of hex, each with a comment after `//`. */
function bytes(lines: string): Uint8Array {
  return Buffer.from(lines.replace(/\/\/.*$/gm, "").replace(/\s/g, ""), "hex");
}

function assertRequest({ type, flags, body }: NetlinkRequest, wanted: readonly [number, number, string]): void {
  assert.deepEqual([type, flags], wanted.slice(0, 2));
  assert.equal(Buffer.from(body).toString("hex"), Buffer.from(bytes(wanted[2])).toString("hex"));
}

const NEW = NetlinkFlag.Create | NetlinkFlag.Exclusive;
const filter = { ifindex: 7, direction: "egress", priority: 3, handle: 2, name: "a:b" } as const;

test("hooks are made and removed by the clsact qdisc", () => {
  const body = `00 000000 07000000 0000ffff f1ffffff 00000000  // AF_UNSPEC, device 7, handle ffff:, parent clsact
                0b00 0100 636c7361637400 00                     // TCA_KIND "clsact", padding`;
  assertRequest(createClsact(7), [36, NEW, body]);
  assertRequest(requireClsact(7), [36, NetlinkFlag.Create, body]);
  assertRequest(deleteClsact(7), [37, 0, body]);
});

test("a filter is added with the lowest priority, replaced in its place, and deleted", () => {
  const options = `0800 0100 62706600   // TCA_KIND "bpf"
                   1c00 0280             // TCA_OPTIONS
                     0800 0600 09000000  //   TCA_BPF_FD
                     0800 0700 613a6200  //   TCA_BPF_NAME
                     0800 0800 01000000  //   TCA_BPF_FLAGS: the program returns the action`;
  const [ingress, egress] = ["f2ffffff", "f3ffffff"];
  const info = (priority: string) => `0003${priority}`; // all protocols, in network order
  assertRequest(createFilter({ ...filter, direction: "ingress" }, 9), [
    44,
    NEW,
    `00 000000 07000000 00000000 ${ingress} ${info("0100")} ${options}`,
  ]);
  assertRequest(replaceFilter(filter, 9), [44, 0, `00 000000 07000000 02000000 ${egress} ${info("0300")} ${options}`]);
  assertRequest(deleteFilter(filter), [
    45,
    0,
    `00 000000 07000000 02000000 ${egress} ${info("0300")} 0800 0100 62706600`,
  ]);
});

test("filters of one hook are listed", () => {
  const request = listFilters(7, "ingress");
  assertRequest(request, [46, 0, "00 000000 07000000 00000000 f2ffffff 00000000"]);
});

test("filters of the kernel are read: programs with their ids, other kinds, and the message of a priority", () => {
  const answer = (handle: string, kind: string, id = "0800 0b00 4d000000") => ({
    type: 44,
    flags: 2,
    sequence: 1,
    body: bytes(`00 000000 07000000 ${handle} f3ffffff 00030300
                 ${kind}
                 1400 0200               // TCA_OPTIONS, without the flag of nested attributes
                   0800 0700 613a6200
                   ${id}                 //   TCA_BPF_ID`),
  });
  const [bpf, u32] = ["0800 0100 62706600", "0800 0100 75333200"];
  assert.deepEqual(parseFilter(answer("02000000", bpf)), { ...filter, programId: 77 });
  assert.equal(parseFilter(answer("02000000", u32)), "other");
  assert.equal(parseFilter(answer("02000000", bpf, "0800 0500 00000000")), "other");
  assert.equal(parseFilter(answer("00000000", bpf)), undefined);
  assert.equal(parseFilter({ ...answer("02000000", bpf), type: 45 }), undefined);
  assert.equal(parseFilter({ type: 44, flags: 2, sequence: 1, body: new Uint8Array(8) }), undefined);
});
