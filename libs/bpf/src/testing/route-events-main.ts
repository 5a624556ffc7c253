/**
 * Runs in a separate network namespace: executes batches of ip(8), which it reads as JSON from stdin, one after
 * another, and prints the events of each batch as a JSON list of texts.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { formatAddress, formatPrefix } from "@isthmus/model";
import { openRouteEvents, type RouteEvent } from "../route-events.js";

const socket = openRouteEvents();

function describe(event: RouteEvent): string {
  const verb = "gone" in event && event.gone ? "-" : "+";
  if (event.kind === "route")
    return `${verb}route ${event.unreachable ? "unreachable " : ""}${formatPrefix(event.prefix)} proto ${event.protocol}${event.replaces ? " replaces" : ""}`;
  if (event.kind === "address") return `${verb}address${event.linkLocal ? " link-local" : ""}`;
  if (event.kind === "neighbour")
    return `${verb}neighbour ${formatAddress(event.address)}${event.permanent ? " permanent" : ""}`;
  if (event.kind === "link")
    return `${verb}link ${event.name} ${event.up ? "up" : "down"}${event.turned ? " turned" : ""}`;
  return event.kind;
}

const batches = JSON.parse(readFileSync(0, "utf8")) as string[][];
for (const lines of batches) {
  execFileSync("ip", ["-force", "-batch", "-"], { input: lines.join("\n"), stdio: ["pipe", "ignore", "inherit"] });
  process.stdout.write(`${JSON.stringify(socket.receive().map(describe))}\n`);
}

// While paused the listener is not called: the event of the second command is still queued.
execFileSync("ip", ["link", "add", "late", "type", "bridge"]);
socket.listen(() => {
  process.stdout.write(`${JSON.stringify(socket.receive().map(describe))}\n`);
  socket.rest(true);
  execFileSync("ip", ["link", "del", "late"]);
  setImmediate(() => {
    process.stdout.write(`${JSON.stringify(socket.receive().map(describe))}\n`);
    socket.close();
  });
});
