/**
 * Requests to rtnetlink in one network namespace: changes and queries in batches, and dumps.
 *
 * ```
 *   run(requests) ─► up to 64 in one send ─► the kernel executes all, also after one that failed ─► one end for each
 *   dump(request) ─► parts of 64 KiB, a turn of the event loop between them; repeated when objects changed meanwhile
 * ```
 * The kernel executes a request while it is sent; that happens on a worker thread, because it waits for other changes
 * of the network. One call at a time: the answers of two would mix.
 */
import { getSystemErrorMap } from "node:util";
import { MeshError } from "@isthmus/model";
import { native } from "../native.js";
import {
  encodeRequests,
  isInterrupted,
  type NetlinkEnd,
  NetlinkFlag,
  type NetlinkMessage,
  type NetlinkRequest,
  parseEnd,
  parseMessages,
} from "./messages.js";

/** Codes of rtnetlink's errors with their data; docs/reference/errors.md is made of them. `errno` is the name of the errno. */
export type NetlinkErrorData =
  /**
   * The kernel refused to read or change a link, an address, a route or a neighbour; the sentence ends with its reason. Fix: EPERM: run
   * the agent with CAP_NET_ADMIN in the node's network namespace; ENODEV: the device is gone, which is harmless when its pod is; EEXIST:
   * something else on the node manages the same object. The agent retries by itself.
   */
  { readonly code: "NETLINK"; readonly action: string; readonly object: string; readonly errno: string };

export type NetlinkError = MeshError<NetlinkErrorData>;

/** How one request of a batch ended. */
export interface NetlinkResult {
  /** Undefined = the kernel executed it. */
  readonly error: NetlinkError | undefined;
  /** What a query answered. */
  readonly messages: readonly NetlinkMessage[];
}

export interface Netlink {
  /** Executes every request in order, also after one that failed; one result for each. */
  run(requests: readonly NetlinkRequest[]): Promise<readonly NetlinkResult[]>;
  /**
   * Everything that the kernel reports, in its order; `decode` returns undefined for what the caller does not want.
   * Rejects with `NETLINK`.
   */
  dump<T>(request: NetlinkRequest, decode: (message: NetlinkMessage) => T | undefined): Promise<readonly T[]>;
  /** Closes the socket; to be called when the last call has settled. */
  close(): void;
}

/** Opens a socket in the network namespace of this path, or in that of the process. Rejects with `NETLINK`. */
export type OpenNetlink = (netns?: string) => Promise<Netlink>;

/** Acknowledgements of so many requests fit into a socket's buffer. */
const MOST_REQUESTS = 64;
const MOST_BYTES = 64 * 1024;
/** A table that changes all the time is an error, not an endless loop. */
const MOST_DUMPS = 10;
const NOTHING = new Uint8Array();

/** The caller closes it. See `withNetlink`. */
export const openNetlink: OpenNetlink = async (netns) => {
  try {
    const socket = await native().openNetlink(netns);
    return createNetlink({
      exchange: (request) => native().netlinkExchange(socket, request, MOST_BYTES),
      close: () => socket.close(),
    });
  } catch (thrown) {
    throw netlinkError({ action: "open", object: `network namespace "${netns ?? "of the node"}"` }, endOf(thrown));
  }
};

/** Runs `work` with a socket that is closed afterwards. */
export async function withNetlink<T>(
  open: OpenNetlink,
  netns: string | undefined,
  work: (netlink: Netlink) => Promise<T>,
): Promise<T> {
  const netlink = await open(netns);
  try {
    return await work(netlink);
  } finally {
    netlink.close();
  }
}

/** Executes the requests; rejects with the error of the first that failed. */
export async function runAll(netlink: Netlink, requests: readonly NetlinkRequest[]): Promise<readonly NetlinkResult[]> {
  const results = await netlink.run(requests);
  for (const { error } of results) if (error !== undefined) throw error;
  return results;
}

/** A socket of rtnetlink. Both reject or throw with an errno. */
export interface NetlinkSocket {
  /** Sends a request unless it is empty; resolves with at least one datagram. */
  exchange(request: Uint8Array): Promise<Uint8Array>;
  /** Called by `Netlink.close`. */
  close(): void;
}

/** Takes over the socket. When an exchange fails, every request of its batch has that error. */
export function createNetlink(socket: NetlinkSocket): Netlink {
  let sequence = 1;

  /** Receives until the request of each sequence number ended. Rejects with the errno's error when the socket failed. */
  async function exchange(
    requests: readonly NetlinkRequest[],
    take: (index: number, message: NetlinkMessage) => void,
  ): Promise<readonly NetlinkEnd[]> {
    const first = sequence;
    sequence += requests.length;
    const ends = new Map<number, NetlinkEnd>();
    let bytes = encodeRequests(requests, first);
    while (ends.size < requests.length) {
      const messages = parseMessages(await socket.exchange(bytes));
      if (messages === undefined) return requests.map(() => ({ errno: EPROTO, text: "" }));
      bytes = NOTHING;
      for (const message of messages) {
        const index = message.sequence - first;
        if (index < 0 || index >= requests.length) continue;
        const end = parseEnd(message);
        // The last message of a dump may be the one that says that it was interrupted.
        if (end === undefined || isInterrupted(message)) take(index, message);
        if (end !== undefined) ends.set(index, end);
      }
    }
    return requests.map((_, i) => ends.get(i) ?? { errno: 0, text: "" });
  }

  async function runBatch(requests: readonly NetlinkRequest[]): Promise<readonly NetlinkResult[]> {
    const answers: NetlinkMessage[][] = requests.map(() => []);
    const ends = await exchange(requests, (index, message) => answers[index]?.push(message)).catch((thrown: unknown) =>
      requests.map(() => endOf(thrown)),
    );
    return requests.map((request, i) => {
      const end = ends[i];
      const error = end === undefined || end.errno === 0 ? undefined : netlinkError(request, end);
      return { error, messages: answers[i] ?? [] };
    });
  }

  return {
    async run(requests) {
      const results: NetlinkResult[] = [];
      for (let i = 0; i < requests.length; i += MOST_REQUESTS) {
        results.push(...(await runBatch(requests.slice(i, i + MOST_REQUESTS))));
      }
      return results;
    },
    async dump<T>(request: NetlinkRequest, decode: (message: NetlinkMessage) => T | undefined) {
      const asDump = { ...request, flags: request.flags | NetlinkFlag.Dump };
      for (let left = MOST_DUMPS; left > 0; left--) {
        const found: T[] = [];
        let interrupted = false;
        const [end] = await exchange([asDump], (_, message) => {
          interrupted ||= isInterrupted(message);
          const value = parseEnd(message) === undefined ? decode(message) : undefined;
          if (value !== undefined) found.push(value);
        }).catch((thrown: unknown) => [endOf(thrown)]);
        if (end !== undefined && end.errno !== 0) throw netlinkError(request, end);
        if (!interrupted) return found;
      }
      throw netlinkError(request, { errno: EINTR, text: `it changed during each of ${MOST_DUMPS} reads` });
    },
    close: () => socket.close(),
  };
}

const EINTR = 4;
const EPROTO = 71;

/** The errno of an error of the addon; any other error is thrown again. */
function endOf(thrown: unknown): NetlinkEnd {
  const errno = thrown instanceof Error && "errno" in thrown ? thrown.errno : undefined;
  if (typeof errno !== "number") throw thrown;
  return { errno, text: "" };
}

function netlinkError({ action, object }: Pick<NetlinkRequest, "action" | "object">, end: NetlinkEnd): NetlinkError {
  const [errno, reason] = getSystemErrorMap().get(-end.errno) ?? [`errno ${end.errno}`, "unknown error"];
  const text = end.text === "" ? reason : end.text.replace(/\.$/, "");
  return new MeshError({ code: "NETLINK", action, object, errno }, `Cannot ${action} ${object}: ${text} (${errno})`);
}
