import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseAddress } from "@isthmus/model";
import { PoliciesInForce, type ToServer } from "@isthmus/proto";
import { createNodeReports } from "./node-reports.js";

test("the health address is reported when it is known, when it changes, and on each new stream", () => {
  let open = false;
  const sent: string[] = [];
  const send = ({ message }: ToServer) => {
    if (open && message?.$case === "nodeReport") {
      const { health } = message.value;
      sent.push(health.length === 0 ? "none" : formatAddress(health));
    }
    return open;
  };
  const reports = createNodeReports({ send, fill: () => [], enforcesPolicies: false });
  open = true;
  reports.connected();
  assert.deepEqual(sent, [], "nothing is known yet");
  open = false;
  reports.health(parseAddress("10.1.0.254"));
  open = true;
  reports.connected();
  reports.health(parseAddress("10.1.0.253"));
  reports.health(undefined);
  reports.connected();
  assert.deepEqual(sent, ["10.1.0.254", "10.1.0.253", "none", "none"]);
});

test("each Ack says which policies are in force, and one is sent when that changes and on each new stream", () => {
  const sent: (number | undefined)[] = [];
  const send = ({ message }: ToServer) => {
    if (message?.$case === "ack") sent.push(message.value.policies?.inForce);
    return true;
  };
  const take = () => sent.splice(0);
  const inForce = (count: number) => PoliciesInForce.fromPartial({ inForce: count });
  const reports = createNodeReports({ send, fill: () => [], enforcesPolicies: true });
  reports.connected();
  reports.conditions.set("A", "wrong");
  assert.deepEqual(take(), [0, 0]);
  reports.acknowledge([], inForce(1));
  reports.acknowledge([], inForce(1));
  reports.acknowledge([{ clusterId: 2, position: undefined, observedUs: 0n, appliedUs: 0n }], inForce(1));
  assert.deepEqual(take(), [1, 1]);
  reports.connected();
  assert.deepEqual(take(), [1]);

  const others = createNodeReports({ send, fill: () => [], enforcesPolicies: false });
  others.connected();
  others.acknowledge([]);
  others.conditions.set("A", "wrong");
  assert.deepEqual(take(), [undefined], "an agent that enforces no policies says nothing of them");
});
