/** EndpointSlices. Their records are those of their Service: it decides whether agents and other clusters get them. */
import { ENDPOINT_SLICES } from "@isthmus/kube";
import type { Feed } from "../feed/feed.js";
import { type SliceFacts, sliceFacts } from "./slice-facts.js";

/** Undefined: the slice belongs to no Service. */
export type EndpointFeed = Feed<SliceFacts | undefined>;

/** Joins slices with their Services. `objectKey`: namespace/name of the EndpointSlice. */
export interface SliceJoin {
  /** `facts` is undefined when the slice belongs to no Service. */
  setSlice(objectKey: string, facts: SliceFacts | undefined): void;
  /** Ignored when the slice is not known. */
  deleteSlice(objectKey: string): void;
}

/** `services`: what the slices are joined with. */
export function createEndpointFeed(services: SliceJoin): EndpointFeed {
  return {
    resource: ENDPOINT_SLICES,
    versionType: "endpointslices",
    facts: sliceFacts,
    take({ deletes, sets }) {
      for (const { key } of deletes) services.deleteSlice(key);
      for (const { key, value } of sets) services.setSlice(key, value);
    },
  };
}
