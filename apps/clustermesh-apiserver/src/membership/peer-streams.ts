/** Serves each peer's records to agents as a source: added when the peer is followed, removed when the operator removed it. */
import type { Clock } from "@isthmus/model";
import { PeerState } from "@isthmus/proto";
import type { SourceSet } from "../ports/source-set.js";
import type { StreamSource } from "../ports/stream-source.js";
import type { RemoteSource } from "../remote/index.js";
import { remoteStreamSource } from "../remote/remote-stream-source.js";

export interface PeerStreams {
  /** Call when a source appeared, or its status changed. */
  follow(source: RemoteSource): void;
  /** The peers that are served. */
  served(): readonly RemoteSource[];
}

/** `sources`: those of this server. */
export function createPeerStreams(sources: SourceSet, clock: Clock): PeerStreams {
  const streams = new Map<RemoteSource, StreamSource>();
  return {
    follow(source) {
      const known = streams.get(source);
      const removed = source.status() === PeerState.PEER_STATE_REMOVED;
      if (removed && known !== undefined) {
        streams.delete(source);
        sources.remove(known);
      } else if (!removed && known === undefined) {
        const stream = remoteStreamSource(source, clock);
        streams.set(source, stream);
        sources.add(stream);
      }
    },
    served: () => [...streams.keys()],
  };
}
