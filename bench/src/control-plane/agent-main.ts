/** `node bench/dist/control-plane/agent-main.js [services] [backends] [changes]` */
import { benchAgent } from "./agent.js";

const [services = 10_000, backends = 10, changes = 2000] = process.argv.slice(2).map(Number);
console.log(JSON.stringify(await benchAgent({ services, backends, changes })));
