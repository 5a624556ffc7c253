/** Makers of records, and a node that judges flows as the programs do. */
export { createPolicyNode, type PolicyNode } from "./policy-node.js";
export {
  allow,
  makeEndpoint,
  makeIdentity,
  makeMeshNode,
  numberOf,
  shopLabels,
} from "./records.js";
