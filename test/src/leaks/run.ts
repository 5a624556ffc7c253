/** The leak test on a running lab: pods that try all the time, changes, and a judge. */
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { type LabHandle, loadImage } from "@isthmus/lab";
import { waitFor } from "@isthmus/runtime";
import { probeImage } from "../e2e/probe-image.js";
import { createChurn, type Step } from "./churn.js";
import { type Clusters, openClusters } from "./clusters.js";
import { createEvidence } from "./evidence.js";
import { nowMicros } from "./history.js";
import { createJudge, type Probe } from "./judge.js";
import { createModel, type Model, type ModelPod } from "./model.js";
import { openMoves } from "./moves.js";
import { NAMESPACES_USED, type PodPlan, ROLE_OF_BACKENDS, SERVICE_NAMESPACE, SERVICE_TARGETS } from "./objects.js";
import { type Prober, parseLine, startProber } from "./prober.js";
import { createRandom } from "./random.js";
import { COLORS, PORTS } from "./random-policy.js";
import { addTo, certainShare, createTally, type Outcome, type Tally, type Violation } from "./report.js";

export interface RunOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly rate: number;
  /** Folder for what is found at violations. */
  readonly out: string;
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

/** Former addresses that clients still try. */
const FORMER = 4;
/** Connections that each client holds to the Service. */
const HELD_TO_SERVICE = 3;
const WARM_UP_MS = 30_000;

export async function runLeaks(lab: LabHandle, options: RunOptions): Promise<Outcome> {
  const { seconds, seed, say } = options;
  return await withClients(lab, options, async ({ model, clusters, watch, stop, signal, failed }) => {
    const random = createRandom(seed);
    const log = createWriteStream(join(options.out, "steps.log"));
    const onStep = ({ at, kind, what }: Step) => void log.write(`${at} ${kind}: ${what}\n`);
    const { firstTargets, judgeFirst, setTargets: podsChanged } = watch;
    const churn = createChurn({ lab, clusters, model, random, onStep, firstTargets, judgeFirst, podsChanged, failed });
    const evidence = createEvidence(lab, model, options.out);
    let collecting: Promise<unknown> = Promise.resolve();
    watch.onViolation((violation) => {
      const { verdict, probe } = violation;
      const { kind, client, target, outcome, answeredBy = "" } = probe;
      say(`${verdict}: ${kind} of ${client} to ${target} is ${outcome} ${answeredBy}`);
      const work = evidence.collect(violation);
      collecting = Promise.allSettled([collecting, work]);
      churn.hold(work);
    });
    say(`Seed ${seed}: changes for ${seconds} s`);
    const began = nowMicros();
    const moves = openMoves(lab);
    try {
      const movedBefore = moves.count();
      const timer = setTimeout(stop, seconds * 1000);
      const progress = setInterval(() => say(progressText(watch.tally, churn.steps)), 10_000);
      await churn.run(signal).finally(() => {
        clearTimeout(timer);
        clearInterval(progress);
      });
      await watch.end();
      for (const pod of model.pods.values()) if (pod.deletedAt === undefined) await judgeFirst(pod);
      await collecting;
      const { tally } = watch;
      return {
        ...{ seed, seconds: (nowMicros() - began) / 1e6, tally, steps: churn.steps, certain: certainShare(tally) },
        ...{ moved: moves.count() - movedBefore, faults: model.faults },
      };
    } finally {
      moves.close();
    }
  });
}

/** Pods that try all the time, and what becomes of it. */
export interface Clients {
  readonly model: Model;
  readonly clusters: Clusters;
  readonly watch: Watch;
  /** Aborted by `stop`, when a part fails or from outside. */
  readonly signal: AbortSignal;
  stop(): void;
  /** A part that runs beside others failed. */
  readonly failed: (error: Error) => void;
}

/** Starts all, calls `work` when backends of every node answered all clients, and ends all. Rejects if a part failed meanwhile. */
export async function withClients<T>(
  lab: LabHandle,
  options: Pick<RunOptions, "rate" | "say" | "signal">,
  work: (clients: Clients) => Promise<T>,
): Promise<T> {
  const stopping = new AbortController();
  const stop = () => stopping.abort(new Error("stopped"));
  const signal = AbortSignal.any([stopping.signal, options.signal]);
  let failure: Error | undefined;
  const failed = (error: Error) => {
    failure ??= error;
    stop();
  };
  const model = createModel();
  await loadImage(lab.plan.name, await probeImage());
  const clusters = await openClusters(lab, model, failed);
  const following = new AbortController();
  const followed = clusters.run(following.signal).catch(failed);
  const watch = watchProbes(model, clusters);
  try {
    await startPods(clusters);
    await waitUntilInForce(clusters);
    options.say(`${model.pods.size} pods run, and every node knows them`);
    const { onProbe, judge } = watch;
    const probers = clients(model).map((pod) =>
      startProber(lab, pod, options.rate, { onProbe, onLate: judge.late, onEnd: failed }),
    );
    watch.start(probers);
    // Only then each node knows how long a connect to each other one takes, and when to move one that a dark node does not answer.
    await waitFor("the Service to answer all clients from every node", () => watch.isAnsweredFromAll(probers), {
      timeoutMs: WARM_UP_MS,
      everyMs: 50,
    });
    const result = await work({ model, clusters, watch, signal, stop, failed }).catch((error: unknown) => {
      throw failure ?? error;
    });
    if (failure !== undefined) throw failure;
    options.signal.throwIfAborted();
    return result;
  } finally {
    await watch.end();
    following.abort();
    await followed;
    clusters.close();
  }
}

/** On each node a client, which is a server too, and a server that is replaced from time to time; and a backend of the Service. */
async function startPods(clusters: Clusters): Promise<void> {
  const plans = clusters.all.flatMap((cluster) =>
    cluster.plan.nodes.flatMap(({ name: node }, i) => {
      const namespace = NAMESPACES_USED[i % NAMESPACES_USED.length] ?? SERVICE_NAMESPACE;
      const podOf = (role: string, namespace: string, name: string, j: number) => ({
        cluster,
        plan: { name, namespace, node, labels: { name, role, color: COLORS[(i + j) % 2] ?? "" } },
      });
      const backend = podOf(ROLE_OF_BACKENDS, SERVICE_NAMESPACE, `${node}-backend-0`, 0);
      return [
        podOf("client", namespace, `${node}-client-0`, 0),
        podOf(ROLE_OF_BACKENDS, namespace, `${node}-server-0`, 1),
        ...(namespace === SERVICE_NAMESPACE ? [] : [backend]),
      ];
    }),
  );
  await Promise.all(plans.map(({ cluster, plan }) => clusters.startPod(cluster, plan)));
}

const clients = (model: Model) => [...model.pods.values()].filter((pod) => pod.labels.latest?.["role"] === "client");

async function waitUntilInForce(clusters: Clusters): Promise<void> {
  const reason = () => `${clusters.pending} changes are not in force`;
  await waitFor("all pods to be known", () => clusters.pending === 0, { timeoutMs: 60_000, everyMs: 50, reason });
}

type Watch = ReturnType<typeof watchProbes>;

function watchProbes(model: Model, clusters: Clusters) {
  const services = clusters.all.flatMap(({ globalService }) =>
    (["TCP", "UDP"] as const).map((protocol) => ({
      frontend: globalService,
      protocol,
      targetPort: SERVICE_TARGETS[protocol],
      isBackend: (pod: { readonly name: string; readonly namespace: string }) =>
        pod.namespace === SERVICE_NAMESPACE && !pod.name.includes("-client-"),
    })),
  );
  const judge = createJudge(model, services);
  let tally: Tally = createTally();
  /** By client: nodes whose backends answered its connects to the Service. */
  const answeredFrom = new Map<string, Set<string>>();
  /** Pods that dial from their first moment on, and were not asked yet what they found. */
  const withFirst = new Set<string>();
  /** Before there is a listener. */
  const untold: Violation[] = [];
  let tell: (violation: Violation) => void = (violation) => void untold.push(violation);
  let probers: readonly Prober[] = [];

  function setTargets(): void {
    for (const prober of probers) prober.setTargets(targetsOf(prober.pod));
  }

  function targetsOf(client: string) {
    const own = model.pods.get(client);
    const others = [...model.pods.values()].filter(({ name, address }) => name !== client && address !== undefined);
    const present = others.filter(({ deletedAt }) => deletedAt === undefined);
    const former = others.filter(({ deletedAt }) => deletedAt !== undefined).slice(-FORMER);
    const at = (port: number, pods: typeof others) => [...new Set(pods.map(({ address }) => `${address}:${port}`))];
    const service = clusters.all.find(({ plan }) => plan.name === own?.cluster)?.globalService ?? "";
    const addresses = PORTS.flatMap((port) => at(port, [...present, ...former]));
    const stable = clients(model).filter(({ name }) => name !== client);
    return {
      connect: withService(addresses, service),
      ask: withService(addresses, service),
      hold: [...at(PORTS[0], stable), ...Array<string>(HELD_TO_SERVICE).fill(service)],
      flow: at(PORTS[0], stable),
    };
  }

  function noteAnswer({ kind, client, target, outcome, answeredBy = "" }: Probe): void {
    const node = model.pods.get(answeredBy)?.node;
    if (kind !== "connect" || outcome !== "open" || node === undefined) return;
    if (!services.some(({ frontend }) => frontend === target)) return;
    answeredFrom.set(client, (answeredFrom.get(client) ?? new Set()).add(node));
  }

  function onProbe(probe: Probe): void {
    noteAnswer(probe);
    const violation = addTo(tally, model, probe, judge.judge(probe));
    if (violation !== undefined) tell(violation);
  }

  return {
    judge,
    get tally() {
      return tally;
    },
    /** Counts from nought on. */
    countAnew() {
      tally = createTally();
    },
    onProbe,
    firstTargets({ name, node }: PodPlan): readonly string[] {
      withFirst.add(name);
      const cluster = clusters.all.find(({ plan }) => plan.nodes.some((one) => one.name === node));
      const present = [...model.pods.values()].filter(
        ({ address, deletedAt }) => address !== undefined && deletedAt === undefined,
      );
      return withService(
        PORTS.flatMap((port) => present.map(({ address }) => `${address}:${port}`)),
        cluster?.globalService ?? "",
      );
    },
    async judgeFirst(pod: ModelPod) {
      if (!withFirst.delete(pod.name)) return;
      for (const line of await clusters.firstFound(pod)) {
        const read = parseLine(pod.name, line);
        if ("late" in read) judge.late(pod.name, ...read.late);
        else onProbe(read);
      }
    },
    isAnsweredFromAll(probers: readonly Prober[]): boolean {
      const nodes = clusters.all.flatMap(({ plan }) => plan.nodes).length;
      return probers.every(({ pod }) => answeredFrom.get(pod)?.size === nodes);
    },
    setTargets,
    /** Called with those that are kept. */
    onViolation(listener: (violation: Violation) => void) {
      tell = listener;
      for (const violation of untold.splice(0)) listener(violation);
    },
    start(all: readonly Prober[]) {
      probers = all;
      setTargets();
    },
    /** Resolves when all that was found is counted. */
    async end() {
      for (const prober of probers) await prober.end();
    },
  };
}

/** The Service after each two addresses, so that a third of what is tried goes to it. */
function withService(addresses: readonly string[], service: string): readonly string[] {
  return addresses.flatMap((address, i) => (i % 2 === 0 ? [address] : [address, service]));
}

function progressText({ counts, violations }: Tally, steps: readonly Step[]): string {
  const all = [...counts.values()].flatMap((of) => [...of.values()]).reduce((sum, count) => sum + count, 0);
  return `${all} probes, ${steps.length} steps, ${violations} violations`;
}
