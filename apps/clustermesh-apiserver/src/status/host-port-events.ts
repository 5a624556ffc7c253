/**
 * Tells the users of pods that ask for a port of their node that nobody serves it: one Event on the pod.
 *
 * In: reports of agents, which hear of it from the container runtime (the CNI's `portMappings`): no watch of all pods, and no
 * right to read them. A node is believed about names only as far as names go, and so often.
 */
import { type EventRecorder, PODS } from "@isthmus/kube";
import { type Clock, protocolName } from "@isthmus/model";
import type { Report } from "@isthmus/proto";

/** Of one node in a minute: more than it can start honestly, little enough for the API. */
const PER_MINUTE = 60;
const MINUTE_MS = 60_000;
/** A pod with hundreds of ports gets one sentence. */
const NAMED = 5;

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const POD = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const UID = /^[0-9a-f-]{1,64}$/;

export function createHostPortEvents(modules: { readonly events: EventRecorder; readonly clock: Clock }) {
  const { events, clock } = modules;
  const counts = new Map<string, number>();
  let since = clock.now();

  function mayTell(node: string): boolean {
    if (clock.now() - since >= MINUTE_MS) {
      since = clock.now();
      counts.clear();
    }
    const count = counts.get(node) ?? 0;
    counts.set(node, count + 1);
    return count < PER_MINUTE;
  }

  return (node: string, report: Report): void => {
    const { up, namespace, pod, podUid, hostPorts } = report;
    const ports = hostPorts.filter(({ port }) => port > 0 && port < 65_536);
    if (!up || ports.length === 0 || !NAMESPACE.test(namespace) || !POD.test(pod) || !UID.test(podUid)) return;
    if (!mayTell(node)) return;
    const named = ports.slice(0, NAMED).map(({ port, protocol }) => `"${port}/${protocolName(protocol)}"`);
    const more = ports.length > NAMED ? ` and ${ports.length - NAMED} more` : "";
    events.report({
      ...{ resource: PODS, namespace, name: pod, uid: podUid },
      ...{ type: "Warning", reason: "HostPortNotServed", action: "Attach" },
      note: `hostPort ${named.join(", ")}${more} is not served yet: the node does not answer there. Use a Service, or "hostNetwork: true"`,
    });
  };
}
