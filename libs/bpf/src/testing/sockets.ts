/** Sockets in another process (bpf/tests/sockets.py), which runs in a given cgroup. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../../../bpf/tests/sockets.py", import.meta.url));

export interface Received {
  readonly data: string;
  readonly from: readonly [string, number] | null;
}

export interface Sockets {
  readonly pid: number;
  /** Starts a server that answers with `name`, or echoes; resolves to its port. */
  server(proto: "tcp" | "udp" | "echo", family: 4 | 6, host: string, name: string): Promise<number>;
  /** A call of the socket that takes longer than the limit, 5 s by default, fails with TIMEOUT. */
  open(proto: "tcp" | "udp" | "mptcp" | "udplite", family: 4 | 6, limitMs?: number): Promise<number>;
  connect(sock: number, host: string, port: number): Promise<null>;
  /** Connects with data in the SYN (TCP Fast Open); resolves to the bytes that were taken. */
  fastopen(sock: number, host: string, port: number, data: string): Promise<number>;
  /** connect() to AF_UNSPEC. */
  disconnect(sock: number): Promise<null>;
  sendto(sock: number, host: string, port: number, data: string): Promise<number>;
  send(sock: number, data: string): Promise<number>;
  receive(sock: number): Promise<Received>;
  /** Waits until there is data to receive. */
  peek(sock: number): Promise<null>;
  peer(sock: number): Promise<readonly [string, number]>;
  /** The socket cookie. */
  cookie(sock: number): Promise<bigint>;
  /** Milliseconds until the kernel sends again what was not answered. */
  rto(sock: number): Promise<number>;
  /** Sends a frame through a device, past the stack. */
  forge(device: string, frame: Uint8Array): Promise<number>;
  /** Binds to this port of the address, by default a free one; resolves to the port. */
  bind(sock: number, host: string, port?: number): Promise<number>;
  /** Shuts the sending side down. */
  shutdown(sock: number): Promise<null>;
  close(sock: number): Promise<null>;
  /** Closes a TCP socket with RST. */
  abort(sock: number): Promise<null>;
  /** Sends random bytes to a server that echoes; resolves to whether the same come back. */
  exchange(sock: number, size: number): Promise<boolean>;
  /**
   * Connects `count` times, one after another; resolves to the number of answers by server name, and of connections that
   * ended without one as `ended`.
   */
  dial(host: string, port: number, count: number, family: 4 | 6): Promise<Readonly<Record<string, number>>>;
  /** The same with all connects under way at the same time; rejects when one is not established. */
  dialAtOnce(host: string, port: number, count: number, family: 4 | 6): Promise<Readonly<Record<string, number>>>;
  /** Ends the process and waits for it. */
  end(): Promise<void>;
}

/**
 * Starts the process, in a cgroup and a network namespace (their paths) when they are given. A failed call rejects with
 * an Error whose `code` is the errno's name.
 */
export function startSockets(cgroup?: string, netns?: string): Sockets {
  const argv = ["python3", SCRIPT, ...(cgroup === undefined ? [] : [cgroup])];
  const [program = "", ...args] = netns === undefined ? argv : ["nsenter", `--net=${netns}`, ...argv];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const call = caller(child);
  return {
    pid: child.pid ?? 0,
    server: (proto, family, host, name) => call({ op: "server", proto, family, host, name }),
    open: (proto, family, limitMs = 5000) => call({ op: "open_socket", proto, family, limit: limitMs / 1000 }),
    connect: (sock, host, port) => call({ op: "connect", sock, host, port }),
    fastopen: (sock, host, port, data) => call({ op: "fastopen", sock, host, port, data }),
    disconnect: (sock) => call({ op: "disconnect", sock }),
    sendto: (sock, host, port, data) => call({ op: "sendto", sock, host, port, data }),
    send: (sock, data) => call({ op: "send", sock, data }),
    receive: (sock) => call({ op: "receive", sock }),
    peek: (sock) => call({ op: "peek", sock }),
    peer: (sock) => call({ op: "peer", sock }),
    cookie: async (sock) => BigInt(await call<string>({ op: "cookie", sock })),
    rto: (sock) => call({ op: "rto", sock }),
    forge: (device, frame) => call({ op: "forge", device, frame: Buffer.from(frame).toString("hex") }),
    bind: (sock, host, port = 0) => call({ op: "bind", sock, host, port }),
    shutdown: (sock) => call({ op: "shutdown", sock }),
    close: (sock) => call({ op: "close", sock }),
    exchange: (sock, size) => call({ op: "exchange", sock, size }),
    abort: (sock) => call({ op: "abort", sock }),
    dial: (host, port, count, family) => call({ op: "dial", host, port, count, family }),
    dialAtOnce: (host, port, count, family) => call({ op: "dial_at_once", host, port, count, family }),
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      // It may be in the middle of a call.
      child.kill("SIGKILL");
      await exit;
    },
  };
}

/** Sends requests one after another. */
function caller(child: ChildProcess): <T>(request: object) => Promise<T> {
  if (child.stdin === null || child.stdout === null) throw new Error("Cannot open stdin and stdout of sockets.py");
  const { stdin } = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  return <T>(request: object) => {
    const answer = last.then(async () => {
      stdin.write(`${JSON.stringify(request)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error("Cannot read an answer of sockets.py: the process ended");
      const { ok, error } = JSON.parse(line.value) as { ok?: T; error?: string };
      if (error !== undefined) throw Object.assign(new Error(`${JSON.stringify(request)}: ${error}`), { code: error });
      return ok as T;
    });
    last = answer.catch(() => undefined);
    return answer;
  };
}
