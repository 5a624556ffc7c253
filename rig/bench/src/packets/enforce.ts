/** Policies for the pods of a network, as an agent writes them: both ends of each connection are asked. */
import { join } from "node:path";
import { createMappedArray, native } from "@isthmus/bpf";
import { createPolicyWriter } from "@isthmus/bpf/testing";
import { TCP } from "@isthmus/model";
import type { Later } from "../undoing.js";
import { CLIENT, PORT, SERVERS } from "./network.js";

/** Sets and classes, by number. */
const [CLIENT_SET, SERVER_SET] = [1, 2];
const CLASS = 1;
const CLIENT_IDENTITY = (1 << 20) | 256;
const SERVER_IDENTITY = CLIENT_IDENTITY + 1;
/** Identities that each set knows, and ports of the class: those of a cluster with some namespaces. */
const ENTRIES = 100;
const REVISION = 1;

/**
 * The client may send to the port of the servers, and they may receive there from the client; nothing else is allowed. `bpffs`:
 * folder of a node's pins; `rows`: of mesh_endpoints, by the address of the pod.
 */
export function enforcePolicies(bpffs: string, rows: ReadonlyMap<string, number>, later: Later): void {
  const open = (name: string) => {
    const pin = native().openPin(join(bpffs, name));
    later(() => pin.close());
    return pin;
  };
  const array = (name: string) => {
    const mapped = createMappedArray(name, open(name));
    later(() => mapped.close());
    return mapped;
  };
  const policy = createPolicyWriter({ map: open, array });
  policy.class(
    CLASS,
    Array.from({ length: ENTRIES }, (_, i) => ({ protocol: TCP, port: PORT + i })),
  );
  const allowed = { class: CLASS };
  policy.set(CLIENT_SET, {});
  policy.set(SERVER_SET, {});
  for (let i = 0; i < ENTRIES; i++) {
    policy.peer(CLIENT_SET, SERVER_IDENTITY + i, { out: allowed });
    policy.peer(SERVER_SET, CLIENT_IDENTITY - i, { in: allowed });
  }
  policy.identity(CLIENT, CLIENT_IDENTITY);
  for (const address of Object.values(SERVERS)) policy.identity(address, SERVER_IDENTITY);
  for (const [address, row] of rows) policy.enforce(row, address === CLIENT ? CLIENT_SET : SERVER_SET, REVISION);
}
