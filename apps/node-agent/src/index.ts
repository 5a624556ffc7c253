export { createDatapath, type Datapath } from "./datapath/datapath.js";
export { createDesiredState, type DesiredState } from "./desired/desired-state.js";
export { desiredNode, nodeName } from "./desired/nodes.js";
export { otherProxyAddresses } from "./desired/other-proxy-addresses.js";
export { type FirstLoad, type MeasuredNode, measureNode } from "./measure.js";
