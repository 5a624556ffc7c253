/** What the rescue of connects costs those that need none, and how soon a connect is refused when no backend is left. */
import { table } from "@isthmus/model";
import { micros } from "../datapath/stats.js";
import { undoing } from "../undoing.js";
import { type ConnectFigures, measureConnects } from "./connects.js";
import { measurePackets, type PacketFigures } from "./packets.js";
import { makeRescueRig } from "./rigs.js";

export interface RescueFigures {
  readonly connects: ConnectFigures;
  readonly packets: PacketFigures;
}

export async function rescueMain(): Promise<RescueFigures> {
  let connects: ConnectFigures | undefined;
  await undoing(async (later) => {
    connects = await measureConnects(await makeRescueRig(later));
  });
  if (connects === undefined) throw new Error("Cannot measure nothing");
  const figures = { connects, packets: await measurePackets() };
  print(figures);
  return figures;
}

function print({ connects: { added, refusals }, packets }: RescueFigures): void {
  console.log(
    'on: the programs as they are; off: a Service with rescue-after "off"; without: programs that know of no rescue,',
  );
  console.log("and none that repeats SYNs early. Each in turn, on two networks that swap their programs");
  process.stdout.write(
    table([
      ["connect to a healthy backend, p50", "ON", "OFF", "WITHOUT", "ON / OFF", "REACH", "ON / WITHOUT"],
      ...Object.entries(added).map(([path, { p50Ns, toOff, toWithout }]) => [
        path === "same" ? "on the same node" : "on another node",
        ...[micros(p50Ns.on), micros(p50Ns.off), micros(p50Ns.without)],
        ...[toOff.toFixed(3), "<= 1.02", toWithout.toFixed(3)],
      ]),
    ]),
  );
  process.stdout.write(
    table([
      ["ns a packet of a flow that was never moved", "ON", "WITHOUT", "ADDED", "REACH"],
      ...Object.entries(packets).map(([program, { onNs, withoutNs, addedNs }]) => [
        program,
        ...[onNs.toFixed(0), withoutNs.toFixed(0), `${addedNs.toFixed(1)}`, "<= 5"],
      ]),
    ]),
  );
  process.stdout.write(
    table([
      ["refused when all backends are dead", "p50", "WORST", "REACH"],
      ...refusals.map(({ backends, p50Ns, worstNs }) => [
        `${backends} ${backends === 1 ? "backend" : "backends"}`,
        ...[micros(p50Ns), micros(worstNs), "<= 5 ms"],
      ]),
    ]),
  );
}
