/**
 * Creates users and roles in an empty etcd and turns authentication on, over a unix socket that only this machine's root reaches.
 *
 * Without users of clusters, only root and its role are created. Order matters: `auth enable` is the last request.
 */
import { request } from "node:http";
import { labError } from "../plan/errors.js";
import { type Permission, permissionsOf, type StoreUser } from "./users.js";

export interface AuthRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The requests of etcd's JSON gateway, in order. */
export function provisioningRequests(users: readonly StoreUser[]): AuthRequest[] {
  return [
    { path: "/v3/auth/user/add", body: { name: "root", options: { no_password: true } } },
    { path: "/v3/auth/role/add", body: { name: "root" } },
    { path: "/v3/auth/user/grant", body: { user: "root", role: "root" } },
    ...users.flatMap(userRequests),
    { path: "/v3/auth/enable", body: {} },
  ];
}

function userRequests(user: StoreUser): AuthRequest[] {
  const { name } = user;
  return [
    { path: "/v3/auth/user/add", body: { name, options: { no_password: true } } },
    { path: "/v3/auth/role/add", body: { name } },
    ...permissionsOf(user).map((permission) => ({
      path: "/v3/auth/role/grant",
      body: { name, perm: encodePermission(permission) },
    })),
    { path: "/v3/auth/user/grant", body: { user: name, role: name } },
  ];
}

function encodePermission(permission: Permission): Record<string, string> {
  const key = { permType: permission.access, key: base64(permission.key) };
  return permission.rangeEnd === undefined ? key : { ...key, range_end: base64(permission.rangeEnd) };
}

export async function provision(socketPath: string, users: readonly StoreUser[]): Promise<void> {
  for (const { path, body } of provisioningRequests(users)) {
    const answer = await post(socketPath, path, body);
    if (answer.status !== 200)
      throw labError("STEP_FAILED", `Cannot provision the shared etcd: ${path}: ${answer.text}`);
  }
}

/** True once etcd answers on the socket with a leader. */
export async function isHealthy(socketPath: string): Promise<boolean> {
  const answer = await post(socketPath, "/v3/auth/status", {}).catch(() => undefined);
  return answer?.status === 200;
}

function post(socketPath: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { socketPath, path, method: "POST", timeout: 5_000, headers: { host: "mesh-etcd" } };
    const sent = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer in 5 s")));
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
