// SPDX-License-Identifier: Apache-2.0
/** An HTTP client of Node's http: client.mjs ADDRESS RATE fresh|pooled. See README.md for what it prints. */
import { Agent, get } from "node:http";
import process from "node:process";

const [address, rate, mode] = process.argv.slice(2);
const agent = new Agent({ keepAlive: mode === "pooled", maxFreeSockets: 100 });
const CONNECT_MS = 1000;
const MOST_MS = 2000;
let sent = 0;
let running = 0;
let stopping = false;

function send() {
  const began = Date.now();
  let reported = false;
  sent += 1;
  running += 1;
  const report = (result, detail) => {
    if (reported) return;
    reported = true;
    running -= 1;
    console.log(`${result} ${Date.now() - began} ${detail}`);
    if (stopping) endIfDone();
  };
  const request = get(`http://${address}/`, { agent }, (response) => {
    response.resume();
    response.once("end", () => report("ok", response.statusCode));
    response.once("error", (error) => report("established", error.code));
  });
  const give = (result) => {
    report(result, "ETIMEDOUT");
    request.destroy();
  };
  request.once("socket", (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => give("connect"), CONNECT_MS);
    for (const event of ["connect", "close"]) socket.once(event, () => clearTimeout(timer));
  });
  const timer = setTimeout(() => give("established"), MOST_MS);
  request.once("close", () => clearTimeout(timer));
  // A connect that is refused has another error: a connection that is reset was established.
  const isConnect = ({ syscall, code }) => syscall === "connect" && code !== "ECONNRESET";
  request.on("error", (error) => report(isConnect(error) ? "connect" : "established", error.code));
}

function endIfDone() {
  if (running > 0) return;
  console.log(`end ${sent}`);
  agent.destroy();
}

const begun = Date.now();
const timer = setInterval(() => {
  const due = ((Date.now() - begun) * Number(rate)) / 1000;
  while (sent < due) send();
}, 5);
process.once("SIGTERM", () => {
  clearInterval(timer);
  stopping = true;
  endIfDone();
});
