/** Adapts a peer's `RemoteSource` to a source of the stream. */
import type { Clock } from "@isthmus/model";
import { sameBytes } from "@isthmus/records";
import { retry, waitFor } from "@isthmus/runtime";
import type { StreamSource } from "../ports/stream-source.js";
import type { RemoteSource } from "./index.js";

/** Reads `source` at every call. Hop `kubernetes` has the age of the head plus the age that the head reports. */
export function remoteStreamSource(source: RemoteSource, clock: Clock): StreamSource {
  const { index } = source;

  /** Checks `done` now and after each new position of the index. */
  const until = (done: () => boolean, signal: AbortSignal): Promise<boolean> =>
    waitFor("a position", done, { changes: index.onPosition, signal });

  /** For a floor of an unknown store: the store id that a quorum read returns decides. */
  async function otherStore(signal: AbortSignal): Promise<void> {
    const before = index.position?.storeId ?? new Uint8Array(0);
    const answer = await confirmStore(signal);
    if (answer === "moved") await until(() => !sameBytes(index.position?.storeId ?? before, before), signal);
  }

  /** While the store does not answer, the source stays withheld from clients with newer positions. */
  function confirmStore(signal: AbortSignal): Promise<"same" | "moved"> {
    return retry(() => source.confirmStore(), { minMs: 200, maxMs: 5000 }, { clock, signal });
  }

  return {
    clusterId: source.id,
    cluster: source.cluster,
    index,
    isVerified: () => source.isVerified(),
    verifiesAbsence: (kind) => source.verifiesAbsence(kind),
    state() {
      const { beatMs, kubeMs } = source.ages();
      const hops = [
        { hop: "publisher", ageMs: Math.round(beatMs) },
        { hop: "kubernetes", ageMs: Math.round(beatMs + kubeMs) },
      ];
      return { status: source.status(), hops };
    },
    onState: (listener) => source.onStatus(listener),
    async catchUp(floor, signal) {
      const other = !sameBytes(index.position?.storeId ?? floor.storeId, floor.storeId);
      await (other ? otherStore(signal) : until(() => index.since(floor) !== "behind", signal));
    },
  };
}
