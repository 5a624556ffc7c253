import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseArguments, USAGE } from "./arguments.js";

const NEEDED = ["--node=n1", "--cgroup=/cg", "--servers=10.0.0.1:7443", "--tls-dir=/tls", "--cni-plugin=/plugin"];

test("--pods-cgroup auto uses the known layouts; other values are parsed as kubelets and runtimes write them", () => {
  const parse = (...more: readonly string[]) => parseArguments([...NEEDED, ...more]).podsCgroups;
  assert.equal(parse(), undefined);
  assert.equal(parse("--pods-cgroup=auto"), undefined);
  assert.deepEqual(parse("--pods-cgroup=/custom/kubepods"), ["custom/kubepods"]);
  assert.deepEqual(parse("--pods-cgroup=custom-kubepods.slice,kubepods"), [
    "custom.slice/custom-kubepods.slice",
    "kubepods",
  ]);
});

test("--pods-cgroup refuses nested, repeated, empty and outside cgroups, and says what to write", () => {
  for (const [value, sentence] of [
    ["kubepods,kubepods/burstable", /of which one is in another: name only the outer one$/],
    ["kubepods,kubepods", /of which one is in another/],
    ["", /write it like "kubepods.slice", relative to --cgroup, or "auto"$/],
    ["/", /write it like/],
    ["../other", /write it like/],
    [".", /write it like/],
  ] as const) {
    assert.throws(() => parseArguments([...NEEDED, `--pods-cgroup=${value}`]), { code: "USAGE", message: sentence });
  }
});

test("--datapath-mode takes sockets or packets", () => {
  const parse = (...more: readonly string[]) => parseArguments([...NEEDED, ...more]).datapathMode;
  assert.deepEqual(
    [parse(), parse("--datapath-mode=sockets"), parse("--datapath-mode=packets")],
    ["packets", "sockets", "packets"],
  );
  assert.throws(() => parse("--datapath-mode=tc"), {
    code: "USAGE",
    message: /--datapath-mode is "tc", write "sockets" or "packets"/,
  });
});

test("--unenforced-policy is a flag of mode sockets", () => {
  const parse = (...more: readonly string[]) => parseArguments([...NEEDED, ...more]).unenforcedPolicy;
  assert.deepEqual(
    [parse(), parse("--datapath-mode=sockets"), parse("--datapath-mode=sockets", "--unenforced-policy")],
    [false, false, true],
  );
  for (const mode of [[], ["--datapath-mode=packets"]])
    assert.throws(() => parse(...mode, "--unenforced-policy"), {
      code: "USAGE",
      message: /--unenforced-policy is for --datapath-mode sockets, leave it out/,
    });
});

test("--unknown-cluster-ip takes refuse or pass", () => {
  const parse = (...more: readonly string[]) => parseArguments([...NEEDED, ...more]).refuseUnknownClusterIps;
  assert.deepEqual(
    [parse(), parse("--unknown-cluster-ip=refuse"), parse("--unknown-cluster-ip=pass")],
    [true, true, false],
  );
  assert.throws(() => parse("--unknown-cluster-ip=drop"), {
    code: "USAGE",
    message: /--unknown-cluster-ip is "drop", write "refuse" or "pass"/,
  });
});

test("--map-sizes takes sizes by name; each mistake is named with what to write", () => {
  const parse = (text: string) => parseArguments([...NEEDED, `--map-sizes=${text}`]).mapSizes;
  assert.deepEqual(parseArguments(NEEDED).mapSizes, {});
  assert.deepEqual(parse("backends=524288,udp=1000000"), { backends: 524_288, udp: 1_000_000 });
  assert.deepEqual(parse("events=65536,flows=1000"), { events: 65_536, flows: 1000 });
  for (const [text, sentence] of [
    ["524288", /^.*--map-sizes has "524288", write it like "backends=524288"/],
    ["backends=1e6", /has "backends=1e6", write it like/],
    [
      "backend=1000",
      /has "backend=1000", choose the name from frontends, services, backends, nodes, udp, flows, pods, ranges, addresses, prefixes, sets, peers, ports, events/,
    ],
    ["udp=1000,udp=2000", /has "udp=2000", name "udp" once/],
    ["nodes=1", /has "nodes=1", write a number from 16 to 16777216/],
    ["backends=16777217", /write a number from 16 to 16777216/],
    ["events=3000000", /has "events=3000000", write a power of two from 65536 to 268435456, in bytes/],
    ["events=32768", /has "events=32768", write a power of two from 65536 to/],
    ["events=536870912", /has "events=536870912", write a power of two from 65536 to/],
  ] as const) {
    assert.throws(() => parse(text), { code: "USAGE", message: sentence });
  }
});

test("the usage names every option, and --help prints it and nothing else", () => {
  const main = fileURLToPath(new URL("./main.js", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "--help"], { encoding: "utf8" });
  assert.deepEqual([status, stdout, stderr], [0, USAGE, ""]);
  const named = ["node", "node-root", "cgroup", "pods-cgroup", "bpffs", "servers", "tls-dir", "state-dir", "health"];
  const cni = ["cni-plugin", "cni-bin-dir", "cni-conf-dir", "cni-socket", "bpf-dir"];
  const more = ["unknown-cluster-ip", "metrics-address", "map-sizes", "datapath-mode", "unenforced-policy"];
  for (const option of [...named, ...cni, ...more]) assert.match(USAGE, new RegExp(`^ {2}--${option} `, "m"));
});

test("metrics are served to other hosts only if an address is given", () => {
  assert.equal(parseArguments(NEEDED).metricsAddress, undefined);
  assert.equal(parseArguments([...NEEDED, "--metrics-address=10.0.0.1:9446"]).metricsAddress, "10.0.0.1:9446");
  assert.throws(() => parseArguments([...NEEDED, "--metrics-address=9446"]), { code: "USAGE" });
});
