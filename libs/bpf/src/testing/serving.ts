/** Services of a test node with real servers on loopback, and common test steps. */
import { FrontendFlag, Proto } from "../index.js";
import type { TestNode } from "./node.js";
import type { Received } from "./sockets.js";
import { frontend, insertFrontends, type TestTier } from "./writer.js";

const NUMBER = { tcp: Proto.Tcp, udp: Proto.Udp };

export interface Server {
  /** Index of its backend row. */
  readonly index: number;
  readonly id: number;
  /** The text that it answers with. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface Served {
  readonly service: number;
  readonly vip: string;
  readonly port: number;
  readonly servers: readonly Server[];
  readonly first: Server;
  readonly ids: readonly number[];
}

export interface ServeOptions {
  readonly family?: 4 | 6;
  readonly vip?: string;
  readonly port?: number;
  readonly tier?: Partial<TestTier>;
}

export interface Serving {
  /** A VIP that no other test uses. */
  newVip(): string;
  /** Starts servers and creates a Service with them as backends. */
  serve(proto: "tcp" | "udp", count?: number, given?: ServeOptions): Promise<Served>;
  /** Adds a VIP to a Service; returns its address. */
  alias(proto: "tcp" | "udp", served: Served): Promise<string>;
  /** Creates a Service with a frontend and no backend; returns its VIP. */
  serveNothing(proto: "tcp" | "udp"): Promise<string>;
  /** Returns by how much the counter increased during the action. */
  counterIncrease(metric: string, action: () => Promise<unknown>): Promise<number>;
  /** Sends and receives once on a new UDP socket; returns the answer and its source address. */
  askUdp(family: 4 | 6, host: string, port: number, connected: boolean): Promise<Received & { readonly sock: number }>;
}

export function createServing(node: TestNode): Serving {
  let lastService = 0;
  let lastBackend = 0;

  const newVip = () => `10.96.${lastService >> 8}.${lastService & 255}`;

  async function startServer(proto: "tcp" | "udp", family: 4 | 6): Promise<Server> {
    const index = ++lastBackend;
    const address = family === 4 ? `127.0.1.${index}` : "::1";
    const name = `server-${index}`;
    const port = await node.host.server(proto, family, address, name);
    return { index, name, address, port, id: node.write.backend({ index, address, port, proto: NUMBER[proto] }) };
  }

  async function serve(proto: "tcp" | "udp", count = 1, given: ServeOptions = {}): Promise<Served> {
    const service = ++lastService;
    const { family = 4, vip = newVip(), port = 80 } = given;
    const servers: Server[] = [];
    for (let i = 0; i < count; i++) servers.push(await startServer(proto, family));
    const ids = servers.map(({ id }) => id);
    node.write.service(service, [{ ids, tries: Math.min(count - 1, 7), ...given.tier }]);
    await insertFrontends(node.datapath.frontends, [
      frontend(vip, port, NUMBER[proto], service),
      frontend(vip, 0, Proto.Any, 0, FrontendFlag.Reject),
    ]);
    const [first] = servers;
    if (first === undefined) throw new Error("Cannot serve without servers");
    return { service, vip, port, servers, first, ids };
  }

  return {
    newVip,
    serve,
    async alias(proto, { service, port }) {
      lastService++;
      const vip = newVip();
      await insertFrontends(node.datapath.frontends, [frontend(vip, port, NUMBER[proto], service)]);
      return vip;
    },
    async serveNothing(proto) {
      const service = ++lastService;
      const vip = newVip();
      await insertFrontends(node.datapath.frontends, [frontend(vip, 80, NUMBER[proto], service)]);
      return vip;
    },
    async counterIncrease(metric, action) {
      const read = (): number => {
        const value = node.datapath.metrics().get(metric);
        if (value === undefined) throw new Error(`Cannot count "${metric}": there is no such counter`);
        return value;
      };
      const before = read();
      await action();
      return read() - before;
    },
    async askUdp(family, host, port, connected) {
      const sock = await node.pod.open("udp", family);
      if (connected) await node.pod.connect(sock, host, port);
      if (connected) await node.pod.send(sock, "x");
      else await node.pod.sendto(sock, host, port, "x");
      return { sock, ...(await node.pod.receive(sock)) };
    },
  };
}
