/**
 * A TCP port on loopback for a server that a test starts, stops and starts again.
 *
 * It is never an ephemeral port: while the server is down, the kernel could give that port to any outgoing connection,
 * and the server could not start again.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const LOWEST = 10_000;
const used = new Set<number>();

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (lowestEphemeral() - LOWEST));
    if (used.has(port) || !(await isFree(port))) continue;
    used.add(port);
    return port;
  }
  throw new Error("Cannot find a free port on loopback in 1000 tries");
}

/** The lower end of net.ipv4.ip_local_port_range in this network namespace. */
function lowestEphemeral(): number {
  return Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/)[0]);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  const taken = once(server, "error").then(() => false);
  const free = once(server, "listening").then(async () => {
    server.close();
    await once(server, "close");
    return true;
  });
  return Promise.race([taken, free.catch(() => false)]);
}
