/** Datagrams between network namespaces: what arrives shows which packets a fault drops. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { waitFor } from "../host/wait.js";
import { inNetwork } from "../supervise/wrap.js";

export const PORT = 9_999;

/** Counts the datagrams of one address family that reach the port. */
export interface DatagramCounter {
  count(): number;
  stop(): void;
}

type Family = "udp4" | "udp6";

const COUNT = `const type = process.argv[1];
const options = { type, ipv6Only: type === "udp6", recvBufferSize: 1 << 20 };
const socket = require("node:dgram").createSocket(options);
let count = 0;
const report = () => console.log(count);
socket.on("message", () => { count++; report(); });
socket.bind(${PORT}, report);`;

const SEND = `const [type, address, count] = process.argv.slice(1);
const socket = require("node:dgram").createSocket(type);
let left = Number(count);
const next = () => (left-- > 0 ? socket.send("x", ${PORT}, address, next) : socket.close());
next();`;

/** `pid`: a process in the namespace. Resolves when the port is open. */
export async function countDatagrams(pid: number, family: Family): Promise<DatagramCounter> {
  const child = inNamespace(pid, [COUNT, family]);
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  const count = () => Number(text.trimEnd().split("\n").at(-1));
  await waitFor(`port ${PORT}`, () => text !== "", { timeoutMs: 10_000, everyMs: 10 });
  return { count, stop: () => void child.kill("SIGKILL") };
}

/** Resolves when all were sent. At most 500 at once fit into the receiver's buffer. */
export async function sendDatagrams(pid: number, family: Family, address: string, count: number): Promise<void> {
  const [code] = await once(inNamespace(pid, [SEND, family, address, String(count)]), "exit");
  if (code !== 0) throw new Error(`Cannot send datagrams to ${address}: exit ${code}`);
}

function inNamespace(pid: number, [script = "", ...args]: readonly string[]): ChildProcess {
  const [command = "", ...argv] = inNetwork(pid, [process.execPath, "-e", script, ...args]);
  return spawn(command, argv, { stdio: ["ignore", "pipe", "inherit"] });
}
