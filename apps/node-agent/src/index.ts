export { createDatapath, type Datapath } from "./datapath/datapath.js";
export { createDesiredState, type DesiredState } from "./desired/desired-state.js";
export { leftAddresses } from "./desired/left-addresses.js";
export { desiredNode, nodeName } from "./desired/nodes.js";
export { type FirstLoad, type MeasuredNode, measureNode } from "./measure.js";
