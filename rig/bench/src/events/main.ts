/**
 * Events of the packet path: what a program pays for one, and what the agent's part costs at 10,000 new flows a second, each with
 * its first packet and its close.
 *
 * This process runs the program on packets; a second one reads the events as the agent does (reader.ts), and is measured.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EventKind, MAP_NAMES, native } from "@isthmus/bpf";
import { loadPodPrograms, makePacket, runOnSkb, TcpFlag } from "@isthmus/bpf/testing";
import { table } from "@isthmus/model";
import { median } from "../datapath/stats.js";
import type { ReaderFigures } from "./reader.js";

const READER = fileURLToPath(new URL("./reader.js", import.meta.url));
/** First packets and closes of 10,000 flows. */
const EVENTS_PER_S = 20_000;
const SECONDS = 10;
const ROUNDS = 61;
/** Runs on one packet, which loses one of its TTL in each. */
const REPEAT = 200;
const FLOWS = [EventKind.FlowNew, EventKind.FlowPickedUp, EventKind.FlowClosed];
const KINDS = { none: [], drops: [EventKind.Drop], all: [EventKind.Drop, ...FLOWS] } as const;

export interface EventFigures {
  /** Median ns of a run of from_pod, by what programs write. */
  readonly ns: Readonly<Record<keyof typeof KINDS, { readonly newFlow: number; readonly established: number }>>;
  readonly reader: ReaderFigures;
  /** Events that were not written: above a limit, or the ring was full. */
  readonly notWritten: number;
}

/** The pod that sends; the other one has it as its next hop, so that a packet can be sent again after it was routed. */
const FROM = { address: "10.1.0.1", ifindex: 1, mac: "02:00:00:00:0a:01", hostMac: "02:00:00:00:0a:02" };
const TO = { ...FROM, address: "10.1.0.2", mac: "02:00:00:00:0b:01", hostMac: FROM.mac };
const packet = (flags: number) =>
  makePacket({ source: FROM.address, target: TO.address, sourceMac: FROM.mac, ttl: 255, flags });
/** A SYN that closes its flow, so that each is a new flow. */
const NEW = packet(TcpFlag.Syn | TcpFlag.Rst);
const ESTABLISHED = packet(TcpFlag.Ack);

export async function eventsMain(): Promise<EventFigures> {
  const closers: (() => void)[] = [];
  const scope = { after: (close: () => void) => closers.push(close) } as unknown as TestContext;
  const folder = `/sys/fs/bpf/isthmus-bench-events-${process.pid}`;
  try {
    const programs = loadPodPrograms(scope, { flows: 65_536, entries: { [MAP_NAMES.events]: 1 << 21 } });
    programs.addPod(FROM);
    programs.addPod(TO);
    programs.addRange("10.1.0.0/16", 1);
    const program = programs.fd("from_pod");
    const run = (bytes: Uint8Array, repeat: number) =>
      runOnSkb(program, { packet: bytes, context: { ifindex: FROM.ifindex }, repeat });
    mkdirSync(folder);
    for (const name of [MAP_NAMES.events, MAP_NAMES.eventSettings, MAP_NAMES.metrics])
      native().pin(programs.map(name), `${folder}/${name}`);

    const reader = fork(READER, [folder]);
    closers.push(() => reader.kill());
    await once(reader, "message");
    const before = programs.events().counts();
    reader.send("begin");
    await once(reader, "message");
    const began = performance.now();
    for (let done = 0; done < EVENTS_PER_S * SECONDS; ) {
      const due = Math.floor(((performance.now() - began) / 1000) * EVENTS_PER_S);
      for (; done < due; done += REPEAT) await run(NEW, REPEAT);
      await delay(2);
    }
    reader.send("end");
    const [figures] = (await once(reader, "message")) as [ReaderFigures];
    const after = programs.events().counts();
    const notWritten = after.limited - before.limited + after.lost - before.lost;

    const ns = {} as Record<keyof typeof KINDS, { newFlow: number; established: number }>;
    for (const [name, kinds] of Object.entries(KINDS) as [keyof typeof KINDS, readonly number[]][]) {
      programs.events().want(kinds);
      const [fresh, old]: [number[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        fresh.push((await run(NEW, REPEAT)).durationNs);
        old.push((await run(ESTABLISHED, REPEAT)).durationNs);
      }
      ns[name] = { newFlow: median(fresh), established: median(old) };
    }
    const result = { ns, reader: figures, notWritten };
    print(result);
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    for (const close of closers.reverse()) close();
  }
}

function print({ ns, reader, notWritten }: EventFigures): void {
  console.log("Events of the packet path; ns of from_pod, each with the frame of a test run");
  const rows = Object.entries(ns).map(([name, { newFlow, established }]) => [name, `${newFlow}`, `${established}`]);
  console.log(table(rows, ["WRITTEN", "NEW FLOW", "ESTABLISHED"]));
  const { corePercent, read, sent, late, notShown } = reader;
  console.log(
    table(
      [
        ["agent, % of a core", corePercent.toFixed(1), "10"],
        ["events written, read and encoded", `${read} ${sent}`, `${EVENTS_PER_S * SECONDS}`],
        ["lost: ring full, limited, late, slow", `${notWritten + late + notShown}`, "0"],
      ],
      [`${EVENTS_PER_S} EVENTS A SECOND`, "MEASURED", "TO REACH"],
    ),
  );
}
