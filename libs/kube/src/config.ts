/**
 * Where the Kubernetes API is and who we are: a kubeconfig file with a context, or the pod's ServiceAccount.
 *
 * A field that would change where or as whom we connect is followed or refused, never left out.
 * A token file is read again for every request, so a renewed token is used at once. Exec plugins and client certificates
 * work as in kubectl.
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
  /** Every connection goes through it, when there is one. */
  readonly proxy?: URL | undefined;
  /** What we prove ourselves with and where it comes from: for whoever reads of a 401. */
  readonly credential: string;
  /** Adds certificates and the Authorization header. */
  authorize(options: RequestOptions): Promise<void>;
}

/** A kubeconfig file, read and parsed once for all of its contexts. */
export interface Kubeconfig {
  /** Its contexts, in its order; none of a file that holds nothing. */
  readonly names: readonly string[];
  readonly current?: string;
  /** Of this context, or of its current one. Throws `KUBE_CONFIG` with the file and what is missing. */
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
  const whole = (): KubeConfig => {
    loaded ??= load(file, (config) => config.loadFromFile(file));
    return loaded;
  };
  const current = content.contexts === undefined ? undefined : whole().getCurrentContext();
  return {
    names:
      content.contexts === undefined
        ? []
        : whole()
            .getContexts()
            .map(({ name }) => name),
    ...(current === undefined || current === "" ? {} : { current }),
    access(context) {
      const { clusters, contexts, users, currentContext } = whole();
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
      `Cannot use "${source}": context "${config.getCurrentContext()}" names a cluster or a user that it does not hold`,
    );
  return {
    server: cluster.server.replace(/\/+$/, ""),
    proxy: proxyOf(cluster, source),
    credential: credentialOf(config, tokenFile, source),
    async authorize(request) {
      await config.applyToHTTPSOptions(request);
      // We bring our own agent: theirs pools by request.
      delete request.agent;
      if (tokenFile === undefined) return;
      const token = (await readFile(tokenFile, "utf8")).trim();
      // Without one we would be anybody, and what anybody may not do looks like a refusal for good.
      if (token === "")
        throw new KubeError(
          { code: "KUBE_CONFIG", source: tokenFile },
          `Cannot use the token in "${tokenFile}": the file is empty`,
        );
      request.headers = { ...request.headers, Authorization: `Bearer ${token}` };
    },
  };
}

/** Throws `KUBE_CONFIG` without the URL itself: it may hold a password. */
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
  if (user?.exec || user?.authProvider) return `what the plugin of user "${user.name}" in "${source}" gives`;
  return user?.token ? `the token of user "${user.name}" in "${source}"` : `user "${user?.name}" in "${source}"`;
}

/** What is read of a file beside what client-node reads. */
interface Content {
  readonly contexts?: readonly unknown[];
  readonly users?: readonly { readonly name?: string; readonly user?: UserFields }[];
}

type UserFields = Readonly<Record<string, unknown>>;

/** A kubeconfig as kubectl takes one: also an empty file, and one without contexts. */
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
    throw unusable(file, 'it is no kubeconfig, which is YAML with lists "clusters", "contexts" and "users"');
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

/** Throws `KUBE_CONFIG` when the user has a field that changes its identity for the API, and that no request would carry. */
function checkUser(kubeconfig: string, user: string, fields: UserFields): void {
  const field = ["as-groups", "as-uid", "as-user-extra"].find((name) => name in fields);
  if (field === undefined) return;
  throw new KubeError(
    { code: "KUBE_CONFIG", source: kubeconfig },
    `Cannot use user "${user}" in "${kubeconfig}": its field "${field}" is not supported; use a user without it`,
  );
}
