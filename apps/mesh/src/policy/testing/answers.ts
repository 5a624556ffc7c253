/** Answers of clusters about a flow from east's shop/client to west's shop/web at 8080/TCP. */
import { parseAddress } from "@isthmus/model";
import { EventIdentity, ExplainPolicyResponse, MonitorState } from "@isthmus/proto";
import type { EndView, Explanation, FlowEnd } from "../explanation.js";

type Partial = NonNullable<Parameters<typeof ExplainPolicyResponse.fromPartial>[0]>;

export const bytes = (address: string) => Buffer.from(parseAddress(address));
const pod = (cluster: string, name: string, address: string): FlowEnd => ({
  ...{ cluster, namespace: "shop", pod: name },
  address: parseAddress(address),
});
export const CLIENT = pod("east", "client", "10.1.0.5");
export const WEB = pod("west", "web", "10.2.0.7");

const identity = (number: number, app: string, cluster: string) =>
  EventIdentity.fromPartial({
    number,
    labels: [
      { key: "io.cilium.k8s.policy.cluster", value: cluster },
      { key: "io.kubernetes.pod.namespace", value: "shop" },
      { key: "app", value: app },
    ],
  });
export const OF_CLIENT = identity(1048832, "client", "east");
export const OF_WEB = identity(2097408, "web", "west");

export const POLICY = { kind: "NetworkPolicy", namespace: "shop", name: "web" };
export const RULES = [{ policy: POLICY, path: "spec.ingress[0]" }];

/** No policy selects the client. */
export function egress(rest: Partial = {}): EndView {
  const answer = ExplainPolicyResponse.fromPartial({
    cluster: "east",
    pod: { address: bytes("10.1.0.5"), node: "e1", identity: OF_CLIENT },
    other: { identity: OF_WEB, cluster: "west", namespace: "shop", pod: "web" },
    policies: { allowed: true },
    node: { node: "e1", state: MonitorState.MONITOR_STATE_HEARD },
    maps: {
      ...{ endpoint: 3, identity: OF_CLIENT.number, allowed: true, otherIdentity: OF_WEB },
      other: { identity: OF_WEB.number, exact: true },
    },
    ...rest,
  });
  return { direction: "egress", pod: CLIENT, answer };
}

/** A rule admits the client at 8080 to 8083. */
export function ingress(rest: Partial = {}): EndView {
  const answer = ExplainPolicyResponse.fromPartial({
    cluster: "west",
    pod: { address: bytes("10.2.0.7"), node: "w1", identity: OF_WEB },
    other: { identity: OF_CLIENT, cluster: "east", namespace: "shop", pod: "client" },
    policies: {
      ...{ allowed: true, rule: 77, rules: RULES },
      selecting: [
        { policy: POLICY, isolates: true },
        { policy: { kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: "dns" }, isolates: false },
      ],
    },
    node: { node: "w1", state: MonitorState.MONITOR_STATE_HEARD },
    maps: MAPS,
    ...rest,
  });
  return { direction: "ingress", pod: WEB, answer };
}

export const MAPS = {
  ...{ endpoint: 5, identity: OF_WEB.number, set: 7, revision: 12, allowed: true, rule: 77, rules: RULES },
  other: { identity: OF_CLIENT.number, exact: true },
  otherIdentity: OF_CLIENT,
  peer: { ownRow: true, number: 9 },
  port: { found: true, protocol: 6, first: 8080, last: 8083, allow: true, rule: 77 },
};

export function explanation(...views: readonly EndView[]): Explanation {
  return { source: CLIENT, destination: WEB, protocol: 6, port: 8080, views, missing: undefined };
}
