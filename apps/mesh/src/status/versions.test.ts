/** Answers of apiservers of adjacent versions (ADR 20): states as text only, and numbers that this version does not know. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AgentPresence,
  type PeerState,
  type PublisherStatus,
  type PublishState,
  RefusalReason,
  type SourceReport,
  StatusResponse,
} from "@isthmus/proto";
import { PEER_STATES, PUBLISH_STATES, peerStates, publishStates, refusalReasons } from "@isthmus/records";
import { assess } from "./assess.js";
import { hopsTable } from "./render.js";

/** The status of east with peer west, as it arrives from the wire. */
function look(
  publisher: Parameters<typeof PublisherStatus.fromPartial>[0],
  source: Parameters<typeof SourceReport.fromPartial>[0],
) {
  const sent = StatusResponse.fromPartial({
    ...{ cluster: "east", clusterId: 1, version: "0.2.0", leader: true },
    publisher,
    sources: [{ cluster: "west", clusterId: 2, ...source }],
    agents: [
      {
        ...{ node: "n1", connected: true, presence: AgentPresence.AGENT_PRESENCE_CONNECTED },
        sources: [1, 2].map((clusterId) => ({ clusterId, inSync: true })),
      },
    ],
    nodes: { known: true, linux: 1, windows: 0, virtual: 0 },
  });
  const report = StatusResponse.decode(StatusResponse.encode(sent).finish());
  const peers = [{ name: "west", id: 2 }];
  const found = assess([{ context: "east", cluster: "east", id: 1, peers, report }], { named: true });
  return {
    ...found,
    states: found.hops.filter(({ hop }) => hop !== "apply").map(({ hop, state, ok }) => `${hop} ${state} ${ok}`),
    problems: found.hops.flatMap(({ problem }) => problem ?? []),
  };
}

test("an older apiserver sends text only: each state is judged as its enum is", () => {
  for (const publish of PUBLISH_STATES)
    for (const peer of PEER_STATES) {
      const older = look({ state: publish.name }, { state: peer.name });
      const same = look({ state: "", publishState: publish.value }, { state: "", peerState: peer.value });
      assert.deepEqual([older.states, older.ok], [same.states, same.ok]);
      assert.equal(older.ok, publish.name === "Live" && peer.name === "InSync");
    }
});

test("an older apiserver's text that this version does not know is shown, and is not in sync", () => {
  const { ok, states } = look({ state: "Thinking" }, { state: "Pausing" });
  assert.deepEqual([ok, states], [false, ["publish Thinking false", "read Pausing false"]]);
});

test("a newer apiserver's unknown numbers are shown as such and are not in sync, whatever the text says", () => {
  const [publishState, peerState] = [9 as PublishState, 7 as PeerState];
  for (const texts of [
    ["", ""],
    ["Live", "InSync"],
  ]) {
    const found = look({ publishState, state: texts[0] ?? "" }, { peerState, state: texts[1] ?? "" });
    assert.equal(found.ok, false);
    assert.deepEqual(found.states, ["publish Unknown (9) false", "read Unknown (7) false"]);
    assert.deepEqual(found.problems, ["it does not publish: Unknown (9)", "it is Unknown (7)"]);
    assert.match(hopsTable(found.hops), /read +Unknown \(7\) .* fail$/m);
  }
});

test("a reason is shown by its enum, of an older apiserver by its text, and an unknown number as such", () => {
  const refused = [
    { count: 1, refusalReason: RefusalReason.REFUSAL_REASON_TOO_LARGE, reason: "text" },
    { count: 1, reason: "address-of-another-member" },
    { count: 1, refusalReason: 77 as RefusalReason, reason: "" },
  ];
  const { hops } = look({}, { refused });
  assert.deepEqual(
    hops.flatMap((hop) => hop.refused ?? []).map(({ reason }) => reason),
    [refusalReasons.name(RefusalReason.REFUSAL_REASON_TOO_LARGE), "address-of-another-member", "Unknown (77)"],
  );
});

test("the text beside each enum is what a reader of the version before knows", () => {
  assert.deepEqual(
    PEER_STATES.map(({ value }) => peerStates.name(value)),
    ["Connecting", "Syncing", "InSync", "Stale", "Refused", "Removed"],
  );
  assert.deepEqual(
    PUBLISH_STATES.map(({ value }) => publishStates.name(value)),
    ["Off", "Connecting", "Loading", "Live", "Full", "Refused"],
  );
});
