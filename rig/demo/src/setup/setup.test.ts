import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setUp } from "./setup.js";
import { fakeCluster } from "./testing/fake-cluster.js";

const START = '{"start":{"mono":1000000,"wall":1000000,"rate":10,"deadline":1000000,"target":"10.96.0.9:80"}}\n';
const samples = (count: number, outcome: string) =>
  `{"s":[${Array.from({ length: count }, (_, n) => `[${n},"${outcome}",900,0,500]`).join(",")}]}\n{"end":{"sent":${count}}}\n`;
const GOOD = [START, '{"responder":0,"name":"east/web-1"}\n', samples(40, "o")];

function world(output: readonly string[] = GOOD) {
  const calls: string[] = [];
  const said: string[] = [];
  const note = (call: string) => void calls.push(call);
  const [east, west] = ["east", "west"].map((name) => fakeCluster(name, note, output));
  if (east === undefined || west === undefined) throw new Error("unreachable");
  const clusters = new Map([
    ["east", east.access],
    ["west", west.access],
  ]);
  const mesh = async (...args: readonly string[]) => note(`mesh ${args.join(" ")}`);
  const stop = new AbortController();
  const options = {
    mesh,
    clusters,
    rate: 10,
    lingerMs: 0,
    say: (text: string) => void said.push(text),
    signal: stop.signal,
  };
  return { calls, said, options, east, stop };
}

describe("the set-up of the demo", () => {
  test("Services become global after everything is deployed and connected; the client starts when everything is in sync", async () => {
    const { calls, said, options, east } = world();
    const { log, denied, clientNode, following } = await setUp(options);
    await following;
    assert.equal(clientNode, "east-2");
    assert.equal(log.samples().length, 40);
    const at = (call: string) => {
      assert.ok(calls.includes(call), `${call} in ${calls.join("; ")}`);
      return calls.indexOf(call);
    };
    const made = ["mesh connect east west", "east: apply Deployment web", "west: apply Deployment web"].map(at);
    const global = ["east: patch Service web", "west: patch Service web"].map(at);
    assert.ok(Math.max(...made) < Math.min(...global));
    assert.ok(Math.max(...global) < at("mesh status --wait"));
    assert.ok(at("mesh status --wait") < at("east: create Pod client"));
    for (const name of ["east", "west"]) {
      assert.ok(at(`${name}: apply CiliumNetworkPolicy web`) < at(`${name}: apply Deployment web`));
      assert.ok(at(`${name}: get CiliumNetworkPolicy web`) < at(`${name}: create Pod denied`));
    }
    assert.deepEqual(
      denied.map((each) => each.samples().length),
      [40, 40],
    );
    assert.match(JSON.stringify(east.objects.get("Pod client")), /"--target","10\.96\.0\.9:80","--rate","10"/);
    assert.equal(said.at(-1), 'The client on "east-2" makes 10 new connections a second to 10.96.0.9:80');
  });

  test("the client of an earlier demo is deleted before the new one is created", async () => {
    const { calls, options, east } = world();
    east.objects.set("Pod client", { metadata: { name: "client" } });
    await setUp(options);
    assert.ok(calls.indexOf("east: delete Pod client") < calls.indexOf("east: create Pod client"));
  });

  test("the client is not started when the mesh cannot be connected", async () => {
    const { calls, options } = world();
    const mesh = async () => {
      throw new Error("no store");
    };
    await assert.rejects(setUp({ ...options, mesh }), /no store/);
    assert.ok(!calls.some((call) => call.includes("Pod client")));
  });

  test("a client that loses requests does not count as warm; after an abort, no more progress is reported", async () => {
    const { said, options, stop } = world([START, samples(40, "r")]);
    const ending = setUp(options);
    setImmediate(() => stop.abort(new Error("interrupted")));
    await assert.rejects(ending, /interrupted; .*(no request yet|40 refused)/);
    assert.ok(!said.some((text) => text.startsWith("The client on")));
  });
});
