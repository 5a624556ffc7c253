/**
 * Server and credentials of the Kubernetes API: from a kubeconfig file with a context, or the pod's ServiceAccount.
 *
 * A field that would change the server or the identity of a connection is applied or refused, never ignored. A token
 * file is read again for every request, so a renewed token is used at once. Exec plugins and client certificates work
 * as in kubectl.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { dirname, resolve } from "node:path";
import { type Cluster, KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { KubeError } from "./errors.js";
import { isProxyScheme } from "./proxy-handshake.js";

export interface KubeConfigOptions {
  /** Path of a kubeconfig; the in-cluster configuration when absent. */
  readonly kubeconfig?: string;
  /** Context of that file; its current one when absent. */
  readonly context?: string;
}

/** What the transport needs of a configuration. */
export interface KubeAccess {
  /** `https://10.0.0.1:6443`, without a slash at the end. */
  readonly server: string;
  /** Every connection goes through this proxy when one is set. */
  readonly proxy?: URL | undefined;
  /** Describes the credential and its source, for the error after a 401. */
  readonly credential: string;
  /** Adds certificates and the Authorization header. */
  authorize(options: RequestOptions): Promise<void>;
}

/** A kubeconfig file, read and parsed once for all of its contexts. */
export interface Kubeconfig {
  /** The contexts in the order of the file; empty when it has none. */
  readonly names: readonly string[];
  /** The file's `current-context`; absent when it names none. */
  readonly current?: string;
  /** The namespace of this context; "default" when it names none. */
  namespace(context: string): string;
  /** Access by this context, or by the current one. Throws `KUBE_CONFIG` with the file and what is missing. */
  access(context?: string): KubeAccess;
}

/** Throws `KUBE_CONFIG` with the file and what is missing. */
export function loadKubeAccess({ kubeconfig, context }: KubeConfigOptions): KubeAccess {
  return kubeconfig === undefined ? inClusterAccess() : openKubeconfig(kubeconfig).access(context);
}

/** Throws `KUBE_CONFIG`. */
export function openKubeconfig(file: string): Kubeconfig {
  const content = readContent(file);
  let loaded: KubeConfig | undefined;
  const parsedConfig = (): KubeConfig => {
    loaded ??= load(file, (config) => config.loadFromFile(file));
    return loaded;
  };
  const current = content.contexts === undefined ? undefined : parsedConfig().getCurrentContext();
  return {
    names:
      content.contexts === undefined
        ? []
        : parsedConfig()
            .getContexts()
            .map(({ name }) => name),
    ...(current === undefined || current === "" ? {} : { current }),
    namespace: (context) => parsedConfig().getContextObject(context)?.namespace || "default",
    access(context) {
      const { clusters, contexts, users, currentContext } = parsedConfig();
      const config = new KubeConfig();
      config.loadFromOptions({ clusters, contexts, users, currentContext: context ?? currentContext });
      const name = config.getCurrentUser()?.name;
      const listed = Array.isArray(content.users) ? content.users : [];
      const fields = listed.find((user) => user.name === name)?.user ?? {};
      const access = accessOf(config, file, tokenFileOf(file, fields));
      checkUser(file, name ?? "", fields);
      return access;
    },
  };
}

function inClusterAccess(): KubeAccess {
  const source = "in-cluster configuration";
  const config = load(source, (empty) => empty.loadFromCluster());
  const provider = config.getCurrentUser()?.authProvider as { config?: { tokenFile?: string } } | undefined;
  return accessOf(config, source, provider?.config?.tokenFile);
}

function load(source: string, from: (config: KubeConfig) => void): KubeConfig {
  const config = new KubeConfig();
  try {
    from(config);
  } catch (cause) {
    throw new KubeError({ code: "KUBE_CONFIG", source }, `Cannot use "${source}": ${(cause as Error).message}`, {
      cause,
    });
  }
  return config;
}

/** `tokenFile`: path of the file with the user's token, if it has one. */
function accessOf(config: KubeConfig, source: string, tokenFile: string | undefined): KubeAccess {
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()];
  if (cluster === null || user === null)
    throw new KubeError(
      { code: "KUBE_CONFIG", source },
      `Cannot use "${source}": context "${config.getCurrentContext()}" names a cluster or a user that it does not define`,
    );
  return {
    server: cluster.server.replace(/\/+$/, ""),
    proxy: proxyOf(cluster, source),
    credential: credentialOf(config, tokenFile, source),
    async authorize(request) {
      await config.applyToHTTPSOptions(request);
      // The transport uses its own agent: client-node makes one for each request.
      delete request.agent;
      if (tokenFile === undefined) return;
      const token = (await readFile(tokenFile, "utf8")).trim();
      // Without a token the request would be anonymous, and its refusal (403) would look permanent.
      if (token === "")
        throw new KubeError(
          { code: "KUBE_CONFIG", source: tokenFile },
          `Cannot use the token in "${tokenFile}": the file is empty`,
        );
      request.headers = { ...request.headers, Authorization: `Bearer ${token}` };
    },
  };
}

/** Throws `KUBE_CONFIG` without the URL, which may contain a password. */
function proxyOf({ name, proxyUrl }: Pick<Cluster, "name" | "proxyUrl">, source: string): URL | undefined {
  if (!proxyUrl) return undefined;
  const url = URL.canParse(proxyUrl) ? new URL(proxyUrl) : undefined;
  if (url !== undefined && url.hostname !== "" && isProxyScheme(url.protocol)) return url;
  throw new KubeError(
    { code: "KUBE_CONFIG", source },
    `Cannot use proxy-url of cluster "${name}" in "${source}": it must be http://, https:// or socks5:// with a host`,
  );
}

function credentialOf(config: KubeConfig, tokenFile: string | undefined, source: string): string {
  const user = config.getCurrentUser();
  if (tokenFile !== undefined) return `the token in "${tokenFile}"`;
  if (user?.certFile || user?.certData) return `the client certificate of user "${user.name}" in "${source}"`;
  if (user?.exec || user?.authProvider) return `the credential from the plugin of user "${user.name}" in "${source}"`;
  return user?.token ? `the token of user "${user.name}" in "${source}"` : `user "${user?.name}" in "${source}"`;
}

/** The fields of a kubeconfig that are read in addition to those that client-node reads. */
interface Content {
  readonly contexts?: readonly unknown[];
  readonly users?: readonly { readonly name?: string; readonly user?: UserFields }[];
}

type UserFields = Readonly<Record<string, unknown>>;

/** Reads a kubeconfig; like kubectl, also an empty file and one without contexts. */
function readContent(file: string): Content {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw unusable(file, READ_FAILURES[code ?? ""] ?? message, cause);
  }
  const content = parsed(file, text);
  if (content === null || content === undefined) return {};
  const { contexts = [] } = content as { contexts?: unknown };
  if (typeof content !== "object" || Array.isArray(content) || !Array.isArray(contexts ?? []))
    throw unusable(file, 'it is not a kubeconfig, which is YAML with the lists "clusters", "contexts" and "users"');
  return content as Content;
}

const READ_FAILURES: Readonly<Record<string, string>> = {
  EISDIR: "it is a folder; name the file in it",
  ENOENT: "there is no such file",
  EACCES: "you may not read it",
};

function parsed(file: string, text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    const [first = ""] = (cause as Error).message.split("\n");
    throw unusable(file, `it is neither YAML nor JSON (${first.replace(/:$/, "")})`, cause);
  }
}

function unusable(source: string, why: string, cause?: unknown): KubeError {
  return new KubeError({ code: "KUBE_CONFIG", source }, `Cannot use kubeconfig "${source}": ${why}`, { cause });
}

/** client-node does not know `tokenFile` of a kubeconfig's user. */
function tokenFileOf(kubeconfig: string, fields: UserFields): string | undefined {
  const file = fields["tokenFile"];
  return typeof file === "string" ? resolve(dirname(kubeconfig), file) : undefined;
}

/** Throws `KUBE_CONFIG` for a field that changes the user's identity at the API but that client-node does not send. */
function checkUser(kubeconfig: string, user: string, fields: UserFields): void {
  const field = ["as-groups", "as-uid", "as-user-extra"].find((name) => name in fields);
  if (field === undefined) return;
  throw new KubeError(
    { code: "KUBE_CONFIG", source: kubeconfig },
    `Cannot use user "${user}" in "${kubeconfig}": its field "${field}" is not supported; use a user without it`,
  );
}
