/** The caller is checked first: a request without a valid token is not decoded. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Client, credentials, status } from "@grpc/grpc-js";
import type { KubeClient } from "@isthmus/kube";
import { parseClusterId, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { AdminService, StatusResponse } from "@isthmus/proto";
import { freePort } from "@isthmus/testing";
import { createFakeSources } from "../testing/fake-source.js";
import { createMeshTls } from "../testing/mesh-tls.js";
import { createAdminAuth } from "./admin/admin-auth.js";
import { startAdminServer } from "./admin/admin-server.js";
import { watchTlsFiles } from "./grpc/tls-files.js";
import { startUnnamedServers } from "./unnamed-servers.js";

/** `Serve` is for agents, on their port. */
const FOR_CLI = Object.values(AdminService).filter(({ path }) => path !== AdminService.serve.path);
/** A malformed message: a field of length 5 in 2 bytes. A server that decodes it fails before it can refuse the caller. */
const NO_MESSAGE = Buffer.from([0x0a, 5]);

async function parts(t: TestContext) {
  const certificates = await createMeshTls();
  const tls = watchTlsFiles(certificates.folder, silentLogger);
  const auth = createAdminAuth({ client: {} as KubeClient, clock: systemClock });
  t.after(() => {
    auth.close();
    tls.close();
    return certificates.remove();
  });
  return { tls, auth, ca: Buffer.from(certificates.ca) };
}

/** The status with which a call without a token is answered. */
async function ask(address: string, ca: Buffer, path: string): Promise<number | undefined> {
  const client = new Client(address, credentials.createSsl(ca));
  const answer = await new Promise<number | undefined>((resolve) => {
    const raw = (bytes: Buffer): Buffer => bytes;
    client.makeUnaryRequest(path, raw, raw, NO_MESSAGE, (error) => resolve(error?.code));
  });
  client.close();
  return answer;
}

test("a call of the admin API without a token is UNAUTHENTICATED, whatever its message is", async (t) => {
  const { tls, auth, ca } = await parts(t);
  const address = `127.0.0.1:${await freePort()}`;
  const server = await startAdminServer(
    { address, clusterId: parseClusterId(1), cluster: "east" },
    {
      ...{ auth, tls, log: silentLogger, clock: systemClock, sources: createFakeSources() },
      status: () => StatusResponse.create(),
    },
  );
  t.after(() => server.close(0));
  for (const { path } of FOR_CLI) assert.equal(await ask(address, ca, path), status.UNAUTHENTICATED);
});

test("a call without a token is also UNAUTHENTICATED while the cluster's name and id are unknown", async (t) => {
  const { tls, auth, ca } = await parts(t);
  const [listen, admin] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const close = await startUnnamedServers({ listen, admin }, { tls, auth, problem: () => "no mesh-config" });
  t.after(close);
  for (const { path } of Object.values(AdminService)) assert.equal(await ask(admin, ca, path), status.UNAUTHENTICATED);
});
