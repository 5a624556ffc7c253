/** A relay from a loopback port to a unix socket, in a process that is started in a network namespace: PORT PATH. Prints "ready". */
import { loopback, startRelay } from "./relay.js";

const [port, path = ""] = process.argv.slice(2);
await startRelay(loopback(Number(port)), { path });
console.log("ready");
