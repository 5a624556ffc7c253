export { createDatapath, type Datapath } from "./datapath/datapath.js";
export { desiredNode, nodeName } from "./desired/nodes/nodes.js";
export { createDesiredState, type DesiredState } from "./desired/services/desired-state.js";
export { otherProxyAddresses } from "./desired/services/service-builder.js";
export { startEventFeed } from "./events/event-feed.js";
export { createPodNames } from "./events/pod-names.js";
export { createServiceNames } from "./events/service-names.js";
export { type FirstLoad, type MeasuredNode, measureNode, type Turns, watchTurns } from "./measure.js";
export { createQuerySession } from "./queries/query-session.js";
