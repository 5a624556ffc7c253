/** For end-to-end tests of any package: the shared lab, and functions that clean it up for the next test. */
export { PROXY_PROGRAMS, type ProxyMode, startKubeProxy } from "./kube-proxy.js";
export { removeNamespace } from "./remove-namespace.js";
export { type TestLab, testLab, testLabShape } from "./test-lab.js";
export { unconnect } from "./unconnect.js";
