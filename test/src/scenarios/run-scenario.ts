/**
 * Runs a scenario: applies events in the order of the file and prints the outputs that the file contains.
 *
 * `runScenario` returns the resulting transcript; the test passes when it equals the file. `runToEnd` applies the same events
 * in another order, with links cut and agents restarted in between, and returns the end state, which must be the same.
 */
import type { KubeObject } from "@isthmus/kube";
import { parseAllDocuments } from "yaml";
import { printMaps } from "./print-maps.js";
import { printServices } from "./print-services.js";
import { shuffledEvents } from "./shuffle.js";
import { objectKey } from "./test-cluster.js";
import { createTestMesh, type TestMesh } from "./test-mesh.js";
import { type Block, OUTPUTS, parseTranscript, printTranscript } from "./transcript.js";

/** One event. `about`: its object; events about the same object keep their order. */
export interface ScenarioEvent {
  readonly about: string;
  play(mesh: TestMesh): void | Promise<void>;
}

export async function runScenario(text: string): Promise<string> {
  const { comment, blocks } = parseTranscript(text);
  const mesh = createTestMesh();
  const out: Block[] = [];
  for (const block of blocks) {
    if (OUTPUTS.has(block.verb)) out.push({ ...block, body: await printOutput(mesh, block) });
    else {
      for (const event of eventsOf(block)) await event.play(mesh);
      out.push(block);
    }
    await mesh.apply();
  }
  return printTranscript({ comment, blocks: out });
}

/**
 * Returns Services and maps of every cluster at the end, with all links healed. `order`: undefined for that of the file; "fresh"
 * for the same with nodes that are replaced at the end; a number for a shuffle with this seed.
 */
export async function runToEnd(text: string, order: number | "fresh" | undefined): Promise<string> {
  const { blocks } = parseTranscript(text);
  const mesh = createTestMesh();
  const declared = blocks.filter(({ verb }) => verb === "cluster");
  for (const { words } of declared) await mesh.addCluster(words[0] ?? "", words[1] ?? "");
  const events = blocks.filter(({ verb }) => verb !== "cluster" && !OUTPUTS.has(verb)).flatMap(eventsOf);
  const names = [...mesh.clusters.keys()];
  for (const event of typeof order === "number" ? shuffledEvents(events, names, order) : events) await event.play(mesh);
  for (const name of names) mesh.connect(name);
  if (order === "fresh") for (const name of names) await mesh.reinstall(name);
  await mesh.apply();
  return endState(mesh);
}

export async function endState(mesh: TestMesh): Promise<string> {
  const parts: string[] = [];
  for (const name of [...mesh.clusters.keys()].sort()) {
    parts.push(`${name}\n${printServices(mesh.agent(name).table)}\n${await printMaps(mesh.agent(name).port)}`);
  }
  return parts.join("\n\n");
}

async function printOutput(mesh: TestMesh, { verb, words }: Block): Promise<string> {
  const [name = ""] = words;
  if (verb === "events") return mesh.cluster(name).events.join("\n");
  return verb === "services" ? printServices(mesh.agent(name).table) : printMaps(mesh.agent(name).port);
}

function eventsOf({ verb, words: [name = "", second = "", third = ""], body }: Block): readonly ScenarioEvent[] {
  switch (verb) {
    case "cluster":
      return [{ about: name, play: (mesh) => mesh.addCluster(name, second) }];
    case "apply":
      return documents(body).map((object) => ({
        about: `${name} ${object.kind} ${objectKey(object)}`,
        play: (mesh) => mesh.deliver(name, mesh.cluster(name).apply(object)),
      }));
    case "delete":
      return [
        {
          about: `${name} ${second} ${third}`,
          play: (mesh) => mesh.deliver(name, mesh.cluster(name).remove(second, third)),
        },
      ];
    case "forget":
      return [{ about: "mesh", play: (mesh) => mesh.forget(name, second) }];
    case "restart":
      return [{ about: "mesh", play: (mesh) => mesh.restart(name) }];
    default:
      return [{ about: "mesh", play: (mesh) => (verb === "connect" ? mesh.connect(name) : mesh.disconnect(name)) }];
  }
}

function documents(body: string): readonly KubeObject[] {
  return parseAllDocuments(body).map((document) => document.toJS() as KubeObject);
}
