/**
 * A TCP port on loopback for a server that a test starts, stops and starts again.
 *
 * Never one of those that the kernel gives to connections: while the server is down, any process that dials could get its
 * port, and it could not come back.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const LOWEST = 10_000;
const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (lowestEphemeral() - LOWEST));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error("Found no free port on loopback");
}

/** Of this network namespace: net.ipv4.ip_local_port_range. */
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
