/** For tests of other packages: the backends that a program can choose, descriptions of a kernel's maps, records of policies. */
export { describeKernel, frontendOf, type Reachable, selectable } from "../datapath/testing/testbed.js";
export { allow, makeEndpoint, makeIdentity, numberOf, shopLabels } from "@isthmus/node-policy/testing";
export { sourceStateMessage, startTestNode, type TestNode } from "./test-node.js";
