/**
 * Reports with one Event on a pod that its `hostPort` is not served.
 *
 * In: reports of agents, which get the ports from the container runtime (the CNI's `portMappings`). Names from a node are
 * validated, and the number of its Events is limited.
 */
import { type EventRecorder, PODS } from "@isthmus/kube";
import { type Clock, protocolName } from "@isthmus/model";
import type { Report } from "@isthmus/proto";

/** Events of one node per minute: more than it can start pods, few enough for the Kubernetes API. */
const PER_MINUTE = 60;
const MINUTE_MS = 60_000;
/** Ports that the Event names, so that a pod with hundreds of ports gets one sentence. */
const NAMED = 5;

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const POD = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const UID = /^[0-9a-f-]{1,64}$/;

/** Returns what takes each report; `node` is that of the agent's certificate. At most 60 Events a minute and node. */
export function createHostPortEvents(modules: { readonly events: EventRecorder; readonly clock: Clock }) {
  const { events, clock } = modules;
  const counts = new Map<string, number>();
  let since = clock.now();

  function mayReport(node: string): boolean {
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
    if (!mayReport(node)) return;
    const named = ports.slice(0, NAMED).map(({ port, protocol }) => `"${port}/${protocolName(protocol)}"`);
    const more = ports.length > NAMED ? ` and ${ports.length - NAMED} more` : "";
    events.report({
      ...{ resource: PODS, namespace, name: pod, uid: podUid },
      ...{ type: "Warning", reason: "HostPortNotServed", action: "Attach" },
      note: `hostPort ${named.join(", ")}${more} is not served yet: the node does not answer there. Use a Service, or "hostNetwork: true"`,
    });
  };
}
