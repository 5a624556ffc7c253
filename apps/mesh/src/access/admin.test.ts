/** Which of several admin API servers' answers is used, over real gRPC. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { createAuthority, issue } from "@isthmus/pki";
import {
  AdminService,
  ExplainServiceRequest,
  ExplainServiceResponse,
  MonitorRequest,
  type MonitorResponse,
  MonitorState,
  StatusResponse,
} from "@isthmus/proto";
import { freePort } from "@isthmus/testing";
import { adminServers, createAdminApi } from "./admin.js";

let ca: string;
let tls: ServerCredentials;
const servers: Server[] = [];

before(async () => {
  const authority = await createAuthority("mesh ca of test");
  ca = authority.certificate;
  const pair = await issue(authority, {
    ...{ cn: "apiserver", sans: ["clustermesh-apiserver.mesh-system.svc"], usages: ["server"] },
  });
  tls = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(pair.certificate), private_key: Buffer.from(pair.key) },
  ]);
});

after(() => {
  for (const server of servers) server.forceShutdown();
});

type Answer = { readonly leader: boolean } | { readonly refuses: string };

async function serving(instance: string, answer: Answer): Promise<string> {
  const call: handleUnaryCall<unknown, StatusResponse> = (_, done) =>
    "refuses" in answer
      ? done({ code: status.FAILED_PRECONDITION, details: answer.refuses })
      : done(null, StatusResponse.fromPartial({ instance, leader: answer.leader }));
  return listening({ status: call });
}

/** The address of a server with these calls. */
async function listening(calls: object): Promise<string> {
  const server = new Server();
  server.addService(AdminService, calls as UntypedServiceImplementation);
  servers.push(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", tls, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return `127.0.0.1:${port}`;
}

async function asked(addresses: readonly string[]): Promise<string> {
  const signal = AbortSignal.timeout(20_000);
  const api = createAdminApi({ name: "east", addresses, ca, token: "t", signal });
  try {
    return (await api.status({ figures: false })).instance;
  } catch (thrown) {
    return (thrown as Error).message;
  } finally {
    api.close();
  }
}

test("of two instances, the report of the Lease holder is used, at any position in the list", async () => {
  const [standby, leader] = [await serving("standby", { leader: false }), await serving("leader", { leader: true })];
  assert.equal(await asked([standby, leader]), "leader");
  assert.equal(await asked([leader, standby]), "leader");
});

test("the report of an instance without the Lease is used when no other answers", async () => {
  const standby = await serving("standby", { leader: false });
  const refusing = await serving("other", { refuses: "no cluster-name" });
  const dead = `127.0.0.1:${await freePort()}`;
  assert.equal(await asked([dead, standby]), "standby");
  assert.equal(await asked([standby, dead]), "standby");
  assert.equal(await asked([standby, refusing]), "standby");
});

test("a refusal counts as an answer, and the error names the servers that do not answer", async () => {
  const refusing = await serving("other", { refuses: 'Cannot use mesh-config: "cluster-name" is empty' });
  assert.match(await asked([refusing]), /it answers FAILED_PRECONDITION, "Cannot use mesh-config: /);
  const dead = `127.0.0.1:${await freePort()}`;
  assert.match(await asked([dead]), /no server answers: 127\.0\.0\.1:\d+ \(connection refused\)/);
});

test("a Service is explained by the server that has the node's agent, at any position in the list, else by the first", async () => {
  const explaining = async (node: string, state: MonitorState) => {
    const answer = ExplainServiceResponse.fromPartial({ node: { node, state } });
    const explainService: handleUnaryCall<unknown, ExplainServiceResponse> = (_, done) => done(null, answer);
    return listening({ explainService });
  };
  const without = await explaining("without", MonitorState.MONITOR_STATE_NOT_CONNECTED);
  const having = await explaining("having", MonitorState.MONITOR_STATE_HEARD);
  const refusing = await explaining("refusing", MonitorState.MONITOR_STATE_UNAVAILABLE);
  const dead = `127.0.0.1:${await freePort()}`;
  for (const [addresses, wanted] of [
    [[without, having], "having"],
    [[having, without], "having"],
    [[dead, without, refusing], "refusing"],
    [[without, dead], "without"],
  ] as const) {
    const api = createAdminApi({ name: "east", addresses, ca, token: "t", signal: AbortSignal.timeout(20_000) });
    const { node } = await api.explainService(ExplainServiceRequest.create()).finally(api.close);
    assert.equal(node?.node, wanted);
  }
});

test("servers are those of the ConfigMap, then those of the status, without duplicates", () => {
  const spec = { id: 1, podCIDRs: [], serviceCIDRs: [] };
  const cluster = { metadata: { name: "east" }, spec, status: { adminServers: ["a:1", "b:1"] } };
  assert.deepEqual(adminServers({ "admin-servers": "c:1, b:1" }, cluster), ["c:1", "b:1", "a:1"]);
  assert.deepEqual(adminServers({}, cluster), ["a:1", "b:1"]);
  assert.deepEqual(adminServers(undefined, { ...cluster, status: {} }), []);
});

/** A server that streams these responses, or refuses; a call per answer. */
async function monitored(...answers: readonly (MonitorResponse[] | status)[]): Promise<{
  readonly address: string;
  readonly tokens: string[];
}> {
  const server = new Server();
  const tokens: string[] = [];
  const monitor: handleServerStreamingCall<unknown, MonitorResponse> = (call) => {
    tokens.push(String(call.metadata.get("authorization")[0]));
    const answer = answers[Math.min(tokens.length, answers.length) - 1] ?? [];
    if (!Array.isArray(answer)) return void call.emit("error", { code: answer, details: "no" });
    for (const response of answer) call.write(response);
    if (tokens.length < answers.length) call.emit("error", { code: status.UNAUTHENTICATED, details: "expired" });
  };
  server.addService(AdminService, { monitor } as unknown as UntypedServiceImplementation);
  servers.push(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", tls, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return { address: `127.0.0.1:${port}`, tokens };
}

const EMPTY: MonitorResponse = { message: { $case: "nodes", value: { nodes: [] } } };
const REQUEST = MonitorRequest.create();

test("events are read from every server; one that is dead is named and does not stop the others", async () => {
  const [a, b] = [await monitored([EMPTY]), await monitored([EMPTY])];
  const dead = `127.0.0.1:${await freePort()}`;
  const stop = new AbortController();
  const options = { name: "east", addresses: [a.address, dead, b.address], ca, token: "t", signal: stop.signal };
  const api = createAdminApi(options);
  const seen = new Set<string>();
  const done = () => {
    if (seen.size === 3) stop.abort(new Error("enough"));
  };
  await assert.rejects(
    api.monitor(REQUEST, {
      message(server) {
        seen.add(server);
        done();
      },
      lost(server, reason) {
        seen.add(`${server} ${reason}`);
        done();
      },
    }),
    /enough/,
  );
  assert.deepEqual([...seen].sort(), [a.address, b.address, `${dead} connection refused`].sort());
  api.close();
});

test("no server, a refusal, and an error of the listener end the call", async () => {
  const listener = { message: () => undefined, lost: () => undefined };
  const api = (addresses: readonly string[]) =>
    createAdminApi({ name: "east", addresses, ca, token: "t", signal: AbortSignal.timeout(20_000) });
  const dead = `127.0.0.1:${await freePort()}`;
  await assert.rejects(
    api([dead]).monitor(REQUEST, listener),
    /no server answers: 127\.0\.0\.1:\d+ \(connection refused\)/,
  );
  const denied = await monitored(status.PERMISSION_DENIED);
  await assert.rejects(api([denied.address]).monitor(REQUEST, listener), /PERMISSION_DENIED.*mesh-cli/);
  const old = await monitored(status.UNIMPLEMENTED);
  await assert.rejects(api([old.address]).monitor(REQUEST, listener), /is of an older version than this command/);
  const good = await monitored([EMPTY]);
  const failing = { ...listener, message: () => assert.fail("no such node") };
  await assert.rejects(api([good.address]).monitor(REQUEST, failing), /no such node/);
});

test("a token that is over is renewed, and the stream goes on", async () => {
  const { address, tokens } = await monitored([EMPTY], [EMPTY]);
  const stop = new AbortController();
  const renew = async () => "second";
  const api = createAdminApi({ name: "east", addresses: [address], ca, token: "first", renew, signal: stop.signal });
  let messages = 0;
  const message = () => {
    if (++messages === 2) stop.abort(new Error("enough"));
  };
  await assert.rejects(api.monitor(REQUEST, { message, lost: () => assert.fail("not lost") }), /enough/);
  assert.deepEqual(tokens, ["Bearer first", "Bearer second"]);
  api.close();
});
