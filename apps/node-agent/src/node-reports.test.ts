import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseAddress } from "@isthmus/model";
import type { ToServer } from "@isthmus/proto";
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
  const reports = createNodeReports({ send, fill: () => [] });
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
