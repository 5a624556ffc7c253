/** Minimal Kubernetes objects for the tests. All are in namespace `e2e`. */
import type { KubeObject } from "@isthmus/kube";
import { DEMO_TAG } from "@isthmus/lab";
import { PROBE_TAG } from "./probe-image.js";

export const NAMESPACE = "e2e";
export const HTTP_PORT = 8080;
export const UDP_PORT = 5353;
/** Where `paths serve` echoes, by TCP and UDP. */
export const ECHO_PORT = 7000;

export const namespace: KubeObject = { metadata: { name: NAMESPACE } };

export interface ServiceSpec {
  readonly port?: number;
  readonly targetPort?: number;
  readonly protocol?: "TCP" | "UDP";
  readonly annotations?: Readonly<Record<string, string>>;
  /** False: no selector; the test writes the slices. */
  readonly selects?: boolean;
}

/** One port, named `main`; selects pods labelled `app: name`. */
export function service(name: string, spec: ServiceSpec = {}): KubeObject & { readonly spec: object } {
  const { port = 80, targetPort = HTTP_PORT, protocol = "TCP", annotations = {}, selects = true } = spec;
  return {
    metadata: { name, namespace: NAMESPACE, annotations },
    spec: {
      ...(selects ? { selector: { app: name } } : {}),
      ports: [{ name: "main", protocol, port, targetPort }],
    },
  };
}

/** HTTP servers that answer `<cluster>/<pod>`, and continue for two seconds after SIGTERM. */
export function servers(name: string, cluster: string, replicas: number): KubeObject & { readonly spec: object } {
  const args = ["httpd", "--port", String(HTTP_PORT), "--linger-ms", "2000", "--cluster", cluster];
  const readinessProbe = { httpGet: { path: "/", port: HTTP_PORT }, periodSeconds: 1 };
  return deployment(name, replicas, { ...container(DEMO_TAG, args), readinessProbe });
}

export function udpServer(name: string): KubeObject & { readonly spec: object } {
  return deployment(name, 1, container(PROBE_TAG, ["udp-echo", String(UDP_PORT)]));
}

/** A pod that a Service of its name selects; it answers TCP and UDP on that port with its name and what it heard. */
export function answerer(name: string, node: string, port: number): KubeObject {
  const { metadata, ...rest } = pod(name, node, container(PROBE_TAG, ["echo", String(port)]));
  return { ...rest, metadata: { ...metadata, labels: { app: name } } };
}

/** A pod that idles, so that tests can run commands in it by exec. */
export function prober(name: string, node: string): KubeObject {
  return pod(name, node, container(PROBE_TAG, ["idle"]));
}

/** The pod with other arguments, and perhaps other fields, of its only container. */
export function withArgs(pod: KubeObject, args: readonly string[], fields: object = {}): KubeObject {
  const { spec } = pod as KubeObject & { readonly spec: { readonly containers: readonly object[] } };
  const [main] = spec.containers;
  return { ...pod, spec: { ...spec, containers: [{ ...main, args, ...fields }] } } as KubeObject;
}

/** A pod that a Service of its name selects. */
export function idler(name: string, node: string): KubeObject {
  const { metadata, ...pod } = prober(name, node);
  return { ...pod, metadata: { ...metadata, labels: { app: name } } };
}

export function withHostPort(name: string, node: string, hostPort: number): KubeObject {
  const ports = [{ containerPort: HTTP_PORT, hostPort, protocol: "TCP" }];
  return pod(name, node, { ...container(PROBE_TAG, ["idle"]), ports });
}

/** A pod that serves HTTP on HTTP_PORT and echoes on ECHO_PORT. */
export function echoServer(name: string, node: string, cluster: string): KubeObject {
  const echo = { ...container(PROBE_TAG, ["serve", String(ECHO_PORT)]), command: ["/paths"] };
  const http = { ...container(DEMO_TAG, ["httpd", "--port", String(HTTP_PORT), "--cluster", cluster]), name: "http" };
  return pod(name, node, echo, http);
}

/** An open-loop client: `rate` new connections a second for `durationMs`. */
export function loader(name: string, node: string, target: string, rate: number, durationMs: number): KubeObject {
  const args = ["load", "--target", target, "--rate", String(rate), "--duration-ms", String(durationMs)];
  return pod(name, node, container(DEMO_TAG, args));
}

function container(image: string, args: readonly string[]) {
  return { name: "main", image, imagePullPolicy: "Never", args };
}

function pod(name: string, nodeName: string, ...containers: readonly object[]): KubeObject {
  const spec = { ...podSpec(...containers), nodeName, restartPolicy: "Never" };
  return { metadata: { name, namespace: NAMESPACE }, spec } as KubeObject;
}

function deployment(name: string, replicas: number, main: object) {
  return {
    metadata: { name, namespace: NAMESPACE },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: podSpec(main) },
    },
  };
}

function podSpec(...containers: readonly object[]) {
  return { automountServiceAccountToken: false, terminationGracePeriodSeconds: 4, containers };
}
