/**
 * Takes the node's health address from its pod CIDR, and reports it once a restart would find it again: after it is saved.
 *
 * It is taken as soon as the CIDR is known, and never given back; without a free address, when a pod's becomes free.
 */
import { type Address, type Clock, formatAddress, formatPrefix, type Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPassLoop } from "../network/pass-loop.js";
import type { Attachments } from "./attachments.js";

export interface HealthAddressModules {
  /** Gets the address, and each new problem. */
  readonly log: Logger;
  /** Times the retries. */
  readonly clock: Clock;
  /** Ends the retries; the address stays taken. */
  readonly signal: AbortSignal;
  /** Keeps the address on disk. */
  readonly attachments: Pick<Attachments, "takeHealth" | "save">;
  /** Called with the first address, and with each other one; undefined = the node has none. */
  readonly report: (address: Address | undefined) => void;
}

export interface HealthAddress {
  /** Resolves when the address is reported, or a retry is scheduled. */
  setCidr(cidr: Prefix): Promise<void>;
  /** A pod's address became free. */
  podRemoved(): void;
}

/** Takes nothing before `setCidr`. */
export function createHealthAddress({ log, clock, signal, attachments, report }: HealthAddressModules): HealthAddress {
  let cidr: Prefix | undefined;
  /** Undefined before the first report. */
  let reported: { readonly text: string | undefined } | undefined;

  const loop = createPassLoop({
    clock,
    signal,
    async pass() {
      if (cidr === undefined) return undefined;
      const podCidr = formatPrefix(cidr);
      const address = attachments.takeHealth(cidr);
      await attachments.save();
      const text = address === undefined ? undefined : formatAddress(address);
      if (reported !== undefined && reported.text === text) return undefined;
      reported = { text };
      if (text !== undefined) log.info("Health address of this node taken", { address: text, podCidr });
      else log.warn("No health address for this node: its pod CIDR has no address to spare", { podCidr });
      report(address);
      return undefined;
    },
    failed: (reason) => log.warn("Cannot save the health address of this node, retrying", { reason }),
  });
  return {
    setCidr(given) {
      cidr = given;
      return loop.trigger();
    },
    podRemoved() {
      if (reported !== undefined && reported.text === undefined) void loop.trigger();
    },
  };
}
