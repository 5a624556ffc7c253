/**
 * A load for tests, as a process in a network namespace: a TCP connection and a UDP socket that are answered
 * constantly.
 *
 *   ping-pong.js serve           prints "ready"
 *   ping-pong.js ask ADDRESS     prints "tcp" or "udp" at each answer
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

const PORT = 7777;
const EVERY_MS = 10;
const [mode, host = ""] = process.argv.slice(2);
// Exits when the test that started it ends.
process.stdin.on("end", () => process.exit(0)).resume();

if (mode === "serve") {
  const udp = createSocket("udp4");
  udp.on("message", (data, from) => udp.send(data, from.port, from.address, () => undefined));
  udp.bind(PORT, () => {
    const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
    server.listen(PORT, "0.0.0.0", () => process.stdout.write("ready\n"));
  });
} else {
  const udp = createSocket("udp4").on("message", () => process.stdout.write("udp\n"));
  const tcp = connect({ host, port: PORT }).on("data", () => process.stdout.write("tcp\n"));
  setInterval(() => {
    udp.send("x", PORT, host, () => undefined);
    tcp.write("x");
  }, EVERY_MS);
}
