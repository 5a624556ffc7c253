/** The kinds of records: one file each, and their order. */
import { ENDPOINT_KIND } from "./endpoint.js";
import { IDENTITY_KIND } from "./identity.js";
import { NODE_KIND } from "./node.js";
import { NODE_CONFIG_KIND } from "./node-config.js";
import { POLICY_KIND } from "./policy.js";
import { SERVICE_KIND } from "./service.js";
import { SERVICE_CONFIG_KIND } from "./service-config.js";
import { SLICE_KIND } from "./slice.js";

export * from "./endpoint.js";
export * from "./identity.js";
export * from "./node.js";
export * from "./node-config.js";
export * from "./policy.js";
export * from "./service.js";
export * from "./service-config.js";
export * from "./slice.js";

/** In apply order: identity before endpoint before service. Deletions go in reverse. */
export const RECORD_KINDS = [
  IDENTITY_KIND,
  NODE_KIND,
  ENDPOINT_KIND,
  SERVICE_KIND,
  SLICE_KIND,
  SERVICE_CONFIG_KIND,
  NODE_CONFIG_KIND,
  POLICY_KIND,
] as const;

/** The names in a key, by its kind. */
export type ParsedKey = NonNullable<ReturnType<(typeof RECORD_KINDS)[number]["parse"]>>;
