/** For tests of other packages: what a program would choose, and whole kernels in words. */
export { describeKernel, frontendOf, type Reachable, selectable } from "./datapath/testbed.js";
export { startTestNode, stateOf, type TestNode } from "./testing-node.js";
