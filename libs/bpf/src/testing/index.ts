/** For tests and benchmarks of other packages: new cgroups, services written directly into maps, test programs. */
export * from "./cgroup.js";
export * from "./nat-rows.js";
export * from "./netns.js";
export * from "./objects.js";
export { makePacket, TcpFlag } from "./packets.js";
export { loadPodPrograms, type PodProgram } from "./pod-programs.js";
export { ALLOW, createPolicyWriter } from "./policy-rows.js";
export { joinNodes, makeServiceNode, type ServiceNode, type ServicePod } from "./service-node.js";
export * from "./skb-run.js";
export { type Sockets, startSockets } from "./sockets.js";
export * from "./writer.js";
