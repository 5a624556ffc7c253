/** For tests of other packages: the backends that a program can choose, and descriptions of a kernel's maps. */
export { describeKernel, frontendOf, type Reachable, selectable } from "../datapath/testing/testbed.js";
export { sourceStateMessage, startTestNode, type TestNode } from "./test-node.js";
