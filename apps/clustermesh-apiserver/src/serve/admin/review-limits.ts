/**
 * Limits token reviews: a rate per client, so that one client cannot use up the reviews of others, and a total number of
 * concurrent reviews, so that clients cannot overload the Kubernetes API through this server.
 *
 * A client is an IPv4 address or an IPv6 /64, which a single pod or host may have. Clients behind one address share its budget.
 */
import { isIPv6 } from "node:net";
import type { Clock } from "@isthmus/model";
import { createTokenBucket, type Rate, type TokenBucket } from "../grpc/token-bucket.js";

export interface ReviewLimits {
  /** Undefined: over the limit. Otherwise a function to call when the review has ended. */
  begin(peer: string): (() => void) | undefined;
}

/** `mesh status --wait` causes reviews of two tokens every ten seconds. */
const PER_CLIENT: Rate = { capacity: 20, perSecond: 2 };
const AT_ONCE_PER_CLIENT = 4;
const AT_ONCE = 32;
const MAX_CLIENTS = 1000;

interface Client {
  readonly bucket: TokenBucket;
  running: number;
}

/** Remembers 1,000 clients; beyond that the longest idle ones are forgotten and have a full budget again. */
export function createReviewLimits(clock: Clock): ReviewLimits {
  /** In the order of their last review. */
  const clients = new Map<string, Client>();
  let running = 0;

  function clientOf(peer: string): Client {
    const address = addressOf(peer);
    const client = clients.get(address) ?? { bucket: createTokenBucket(clock), running: 0 };
    clients.delete(address);
    clients.set(address, client);
    for (const [other, { running }] of clients) {
      if (clients.size <= MAX_CLIENTS) break;
      if (running === 0) clients.delete(other);
    }
    return client;
  }

  return {
    begin(peer) {
      const client = clientOf(peer);
      if (running >= AT_ONCE || client.running >= AT_ONCE_PER_CLIENT || !client.bucket.take(PER_CLIENT))
        return undefined;
      client.running++;
      running++;
      return () => {
        client.running--;
        running--;
      };
    },
  };
}

/** The client of a gRPC peer such as `10.0.0.1:4711` or `[fd00::1]:4711`. */
export function addressOf(peer: string): string {
  const host = /^\[?(.*?)\]?(?::\d+)?$/.exec(isIPv6(peer) ? `[${peer}]` : peer)?.[1] ?? peer;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (mapped !== undefined) return mapped;
  return isIPv6(host) ? networkOf(host) : host;
}

/** The /64 of an IPv6 address: its first four groups. */
function networkOf(address: string): string {
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const middle =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0");
  const four = [...first, ...middle, ...last].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${four.join(":")}::/64`;
}
