/** For end-to-end tests of any package: the lab they share, and how to leave it for the next one. */
export { type KeptLab, keepLab, type LabShape } from "./keep-lab.js";
export { removeNamespace } from "./remove-namespace.js";
export { type TestLab, testLab, testLabShape } from "./test-lab.js";
export { unconnect } from "./unconnect.js";
