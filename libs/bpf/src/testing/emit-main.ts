/**
 * Runs the program of events_test that is pinned at a path: `node emit-main.js PIN ROUNDS EVENTS PAUSE_MS`. Each round
 * writes that many events into the ring buffer at once.
 */
import { setTimeout } from "node:timers/promises";
import { native } from "../native.js";

const [pin = "", rounds, events, pauseMs] = process.argv.slice(2);
const program = native().openPin(pin);
for (let round = 0; round < Number(rounds); round++) {
  await native().testRun(program, new Uint8Array(64), Number(events));
  await setTimeout(Number(pauseMs));
}
program.close();
