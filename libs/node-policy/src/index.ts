export type { DesiredPolicy, DesiredPrefix, DesiredSubject, PolicyChanges } from "./desired-policy.js";
export * from "./error-codes.js";
export { identityAt } from "./identity-at.js";
export { type NamedIdentity, nameIdentity } from "./named-identity.js";
export { type EndpointFacts, type IdentityFacts, readEndpoint, readIdentity, readPolicy } from "./parse-records.js";
export * from "./policy-builder.js";
