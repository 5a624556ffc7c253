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
    "With the programs as they are (on), and with those that move no connect, without the early repeat of SYNs (off)",
  );
  process.stdout.write(
    table([
      ["connect to a healthy backend, p50", "ON", "OFF", "ON / OFF", "REACH"],
      ...Object.entries(added).map(([path, { onNs, offNs, ratio }]) => [
        path === "same" ? "on the same node" : "on another node",
        ...[micros(onNs), micros(offNs), ratio.toFixed(3), "<= 1.02"],
      ]),
    ]),
  );
  process.stdout.write(
    table([
      ["ns a packet of a flow that was never moved", "ON", "OFF", "ADDED", "REACH"],
      ...Object.entries(packets).map(([program, { onNs, offNs, addedNs }]) => [
        program,
        ...[onNs.toFixed(0), offNs.toFixed(0), `${addedNs.toFixed(1)}`, "<= 5"],
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
