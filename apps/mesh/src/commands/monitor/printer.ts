/** Prints what servers say of nodes and their events. */
import { lineText, MeshError } from "@isthmus/model";
import { type EventFilter, type FlowEvent, MonitorState, type NodeEvents } from "@isthmus/proto";
import type { MonitorListener } from "../../access/admin-monitor.js";
import { eventIdentities } from "../../monitor/event-identities.js";
import { eventJson } from "../../monitor/event-json.js";
import { eventLine, notShownLines } from "../../monitor/event-text.js";
import { createHeardNodes } from "../../monitor/heard-nodes.js";
import type { Io } from "../../output/io.js";
import { jsonLine } from "../../output/json.js";
import { kubectl } from "../../output/units.js";

export interface PrinterOptions {
  /** Nodes that were asked for; none: all. */
  readonly nodes: readonly string[];
  /** Addresses of the servers that are asked. */
  readonly servers: readonly string[];
  /** What they are asked for. */
  readonly filter: Pick<EventFilter, "serviceNamespace" | "service">;
  /** Of the cluster. */
  readonly context: string;
  /** Of what is printed on stdout. */
  readonly format: "table" | "json";
}

/** About the nodes first, when each server has answered or is lost, since each hears other nodes. */
export function createPrinter(
  { nodes: asked, servers, filter, context, format }: PrinterOptions,
  io: Io,
): MonitorListener {
  const heard = createHeardNodes();
  const awaited = new Set(servers);
  /** Nodes whose events were not narrowed to the Service. */
  const notNarrowed = new Set<string>();

  function report(server: string): void {
    awaited.delete(server);
    if (awaited.size > 0) return;
    const states = heard.states();
    const unknown = asked.filter((node) => states.get(node)?.state === MonitorState.MONITOR_STATE_UNKNOWN);
    for (const node of unknown)
      throw new MeshError(
        { code: "NO_NODE", node },
        `Cannot monitor node "${node}": context "${context}" has no such Linux node; see: ${kubectl(context)} get nodes`,
      );
    const changes = heard.changes();
    for (const sentence of changes) io.err(`${sentence}\n`);
    if (format === "json" && changes.length > 0) {
      const list = [...states].map(([node, { state, message }]) => {
        const isHeard = state === MonitorState.MONITOR_STATE_HEARD;
        return { node, heard: isHeard, ...(message === "" ? {} : { message }) };
      });
      io.out(jsonLine({ nodes: list }));
    }
  }

  function isOfService({ service }: FlowEvent): boolean {
    return filter.service === "" || (service?.name === filter.service && service.namespace === filter.serviceNamespace);
  }

  function events({ node, batch }: NodeEvents): void {
    const now = new Date();
    const shown = (batch?.events ?? []).filter(isOfService);
    const identities = eventIdentities(batch?.identities ?? []);
    for (const event of shown)
      io.out(
        format === "json" ? jsonLine(eventJson(node, event, identities)) : eventLine(node, event, now, identities),
      );
    if (shown.length < (batch?.events.length ?? 0) && !notNarrowed.has(node)) {
      notNarrowed.add(node);
      io.err(`${lineText(node)}: its events are left out: its agent or a server is of a version without --service\n`);
    }
    const notShown = batch?.notShown;
    if (notShown === undefined) return;
    if (format === "json") io.out(jsonLine({ notShown: { node, ...notShown } }));
    for (const line of notShownLines(node, notShown)) io.err(line);
  }

  return {
    message(server, { message }) {
      if (message?.$case === "nodes") {
        heard.report(server, message.value.nodes);
        report(server);
      }
      if (message?.$case === "events") events(message.value);
    },
    lost(server, reason) {
      io.err(`No answer of server ${server}: ${lineText(reason)}; asking it again\n`);
      heard.lost(server);
      report(server);
    },
  };
}
