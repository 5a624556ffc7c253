/** Makes the generated parts of the pages of docs/reference from the sources of the product. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProductSource } from "@isthmus/checks";
import { COMMANDS } from "@isthmus/mesh";
import { cliFindings, cliText, type Daemon, optionsRead } from "./cli.js";
import { documented, documentedGroups } from "./documented.js";
import { enumValues } from "./enums.js";
import { errorsText, findErrors } from "./errors.js";
import { findMetrics, metricsText } from "./metrics.js";
import { readPackages } from "./packages.js";
import { code, table } from "./page.js";
import { commentFindings, conditionsText, eventFindings, memberTable } from "./reasons.js";

export interface Reference {
  /** The generated part of each page, by the page's path. */
  readonly pages: ReadonlyMap<string, string>;
  /** One sentence each; none = fine. */
  readonly findings: readonly string[];
}

/** `root`: the repository, built. */
export function makeReference(root: string, sources: readonly ProductSource[]): Reference {
  const packages = readPackages(root);
  const errors = findErrors(sources, packages);
  const metrics = findMetrics(sources);
  const daemons = ["clustermesh-apiserver", "node-agent"].map((name) => readDaemon(root, name, sources));
  const exitCodes = documented(sources, "ExitCode");
  const conditions = [
    { object: "MeshCluster", types: documentedGroups(sources, "ClusterReasons") },
    { object: "MeshPeer", types: documentedGroups(sources, "PeerReasons") },
    { object: "Service", types: documentedGroups(sources, "ServiceReasons") },
    {
      object: "CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy",
      types: documentedGroups(sources, "PolicyReasons"),
    },
  ];
  const events = documented(sources, "EventReason");
  const states: readonly (readonly [title: string, list: string])[] = [
    ["Peers", "PEER_STATES"],
    ["Publisher", "PUBLISH_STATES"],
    ["Frontends", "FRONTEND_STATES"],
    ["Backends that get no new connections", "BACKEND_EXCLUSIONS"],
    ["A cluster's records on a node", "NODE_SOURCE_STATES"],
  ];
  const drops: readonly (readonly [title: string, list: string])[] = [
    ["Records of a peer that are refused", "REFUSAL_REASONS"],
    ["Messages that an agent ignores or repairs", "SourceEvent"],
  ];
  const lists = new Map([...states, ...drops].map(([, list]) => [list, documented(sources, list)]));
  const section = ([title, list]: readonly [string, string]) =>
    `## ${title}\n\n${memberTable("Name", lists.get(list) ?? [])}`;
  const types = conditions.flatMap(({ object, types }) =>
    types.map((type) => [`${object}: ${type.name}`, type] as const),
  );
  const reasons = [...events, ...types.flatMap(([, { members }]) => members)].map(({ name }) => name);
  return {
    pages: new Map([
      ["docs/reference/cli.md", cliText(COMMANDS, daemons, exitCodes)],
      ["docs/reference/conditions.md", conditionsText(conditions, events)],
      ["docs/reference/drop-reasons.md", [datapathText(root), ...drops.map(section)].join("\n\n")],
      ["docs/reference/errors.md", errorsText(errors, packages)],
      ["docs/reference/metrics.md", metricsText(metrics)],
      ["docs/reference/states.md", states.map(section).join("\n\n")],
    ]),
    findings: [
      ...errors.findings,
      ...metrics.findings,
      ...cliFindings(COMMANDS, daemons, exitCodes),
      ...eventFindings(sources, new Set(reasons)),
      ...commentFindings(
        new Map([
          ...lists,
          ["EventReason", events],
          ["conditions", types.map(([name, type]) => ({ ...type, name }))],
          ...types.map(([name, { members }]) => [name, members] as const),
        ]),
      ),
    ],
  };
}

function readDaemon(root: string, name: string, sources: readonly ProductSource[]): Daemon {
  const folder = `apps/${name}`;
  const usage = execFileSync(process.execPath, [join(root, folder, "dist/main.js"), "--help"], { encoding: "utf8" });
  return { name, usage, options: sources.filter((source) => source.folder === folder).flatMap(optionsRead) };
}

function datapathText(root: string): string {
  const source = readFileSync(join(root, "libs/bpf/src/gen/enums.ts"), "utf8");
  const section = (title: string, head: string, name: string) => {
    const values = enumValues(source, name).filter((value) => value.name !== "none");
    const rows = values.map((value) => [code(value.name), value.text]);
    return `## ${title}\n\n${table([head, "Meaning"], rows)}`;
  };
  return [
    section("Drop reasons of the datapath", "Reason", "DropReason"),
    section("Counters of the datapath", "Event", "Metric"),
    section("Moves of connects", "Reason", "MoveReason"),
  ].join("\n\n");
}
