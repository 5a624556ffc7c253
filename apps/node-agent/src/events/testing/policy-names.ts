/** For tests: the names of identities and rules, from an engine as an agent has it. */
import { identityNumber, nodeLocalIdentity } from "@isthmus/identity";
import { bytesKey, parseAddress, parseClusterId, parsePrefix } from "@isthmus/model";
import {
  createPolicyEngine,
  type ParsedPolicy,
  parseCiliumClusterwideNetworkPolicy,
  parseCiliumNetworkPolicy,
  parseNetworkPolicy,
  podIdentityLabels,
} from "@isthmus/policy";
import { createPolicyNames } from "../policy-names.js";

const EAST = parseClusterId(1);
export const CLIENT = identityNumber(EAST, 256);
export const WEB = identityNumber(EAST, 257);
/** Of 203.0.113.0/24. */
export const WORLD_BLOCK = nodeLocalIdentity(256);

const labels = (podLabels: Readonly<Record<string, string>>) =>
  podIdentityLabels({
    ...{ cluster: "east", namespace: "shop", namespaceLabels: new Map([["team", "a"]]), serviceAccount: "default" },
    podLabels: new Map(Object.entries(podLabels)),
  });

/**
 * Pods shop/a (10.1.0.1, app=client) and shop/b (10.1.0.2, app=web). Of shop/b port 80 is open to shop/a; two policies isolate its
 * ingress, one of them by two specs, and a clusterwide one denies it 203.0.113.0/24. Ten policies isolate the egress of shop/a.
 */
export function makePolicyNames() {
  const engine = createPolicyEngine();
  engine.setIdentity(CLIENT, { labels: labels({ app: "client" }) });
  engine.setIdentity(WEB, { labels: labels({ app: "web" }) });
  engine.setIdentity(WORLD_BLOCK, { labels: new Map([["reserved:world", ""]]), prefix: parsePrefix("203.0.113.0/24") });
  const subjects = new Map([
    [bytesKey(parseAddress("10.1.0.1")), { identity: CLIENT }],
    [bytesKey(parseAddress("10.1.0.2")), { identity: WEB }],
  ]);
  for (const [address, { identity }] of subjects) engine.setSubject(address, { identity });
  const add = (parsed: ParsedPolicy) => {
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.findings));
    engine.setPolicy(parsed.policy);
  };
  const options = { cluster: "east" };
  const named = (name: string) => ({ namespace: "shop", name });
  const web = { matchLabels: { app: "web" } };
  const from = [{ podSelector: { matchLabels: { app: "client" } } }];
  const network = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" };
  const ingress = [{ from, ports: [{ port: 80 }] }];
  add(parseNetworkPolicy({ ...network, metadata: named("web"), spec: { podSelector: web, ingress } }, options));
  const twice = { endpointSelector: web, ingress: [{}] };
  add(
    parseCiliumNetworkPolicy(
      { apiVersion: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata: named("web-twice"), specs: [twice, twice] },
      options,
    ),
  );
  const wall = { endpointSelector: web, egressDeny: [{ toCIDR: ["203.0.113.0/24"] }] };
  const kind = "CiliumClusterwideNetworkPolicy";
  const metadata = { name: "wall" };
  add(parseCiliumClusterwideNetworkPolicy({ apiVersion: "cilium.io/v2", kind, metadata, spec: wall }, options));
  const client = { podSelector: { matchLabels: { app: "client" } }, policyTypes: ["Egress"] };
  for (let i = 0; i < 10; i++)
    add(parseNetworkPolicy({ ...network, metadata: named(`client-${i}`), spec: client }, options));
  engine.commit();
  return { engine, policies: createPolicyNames({ subjects }, engine) };
}
