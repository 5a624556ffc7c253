/** An agent for tests: keeps the records of every source by the rules of the stream, and exposes the messages that it received. */
import { type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import {
  Ack,
  type Batch,
  type GoAway,
  Kind,
  type Mark,
  Role,
  type SourcePosition,
  type SourceState,
  StateSyncClient,
  type ToAgent,
  type ToServer,
  type Welcome,
} from "@isthmus/proto";
import {
  bucketOf,
  createRecordTable,
  hashRecord,
  KINDS,
  POLICIES,
  type RecordTable,
  versionsOf,
} from "@isthmus/records";

export interface AgentTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface HeldSource {
  readonly table: RecordTable;
  position: Batch["to"];
  inSync: boolean;
  /** Number of Marks at the agent's position whose sums matched, and whose did not. */
  marks: { good: number; bad: number };
  firstSyncs: number;
  broken: string | undefined;
}

export interface TestAgent {
  readonly welcome: Welcome | undefined;
  readonly states: readonly SourceState[];
  readonly batches: readonly Batch[];
  /** All Marks, including those at other positions than the agent's. */
  readonly marks: readonly Mark[];
  readonly bucketsSeen: number;
  /** Kinds whose exchange ended with no bucket. */
  readonly emptyExchanges: ReadonlySet<number>;
  readonly goAway: GoAway | undefined;
  readonly error: { readonly code?: number; readonly details?: string } | undefined;
  readonly ended: boolean;
  source(clusterId: number): HeldSource;
  /** Keys held of a source. */
  keys(clusterId: number): string[];
  value(clusterId: number, key: string): Uint8Array | undefined;
  send(message: NonNullable<ToServer["message"]>): void;
  ack(clusterId: number): void;
  pause(): void;
  resume(): void;
  close(): void;
}

export interface TestAgentOptions {
  readonly port: number;
  readonly node: string;
  readonly tls: AgentTls;
  readonly sources?: readonly SourcePosition[];
  readonly protocol?: readonly [number, number];
  readonly role?: Role;
  /** Those of the current agent version when absent. */
  readonly capabilities?: readonly string[];
  /** Records and positions that the agent starts with. */
  readonly held?: Map<number, HeldSource>;
}

export function connectAgent(options: TestAgentOptions): TestAgent & { readonly held: Map<number, HeldSource> } {
  const { tls, node } = options;
  const client = new StateSyncClient(
    `127.0.0.1:${options.port}`,
    credentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.certificate)),
    { "grpc.max_receive_message_length": -1 },
  );
  const call: ClientDuplexStream<ToServer, ToAgent> = client.subscribe(new Metadata());
  const capabilities = options.capabilities ?? ["source-states", "node-report"];
  const policiesHeld = () => [...source(0).table.records(Kind.KIND_POLICY)].length;
  const held = options.held ?? new Map<number, HeldSource>();
  const named = new Map<number, Set<string>>();
  const states: SourceState[] = [];
  const batches: Batch[] = [];
  const marks: Mark[] = [];
  let bucketsSeen = 0;
  const emptyExchanges = new Set<number>();
  let welcome: Welcome | undefined;
  let goAway: GoAway | undefined;
  let error: TestAgent["error"];
  let ended = false;

  function source(clusterId: number): HeldSource {
    const known = held.get(clusterId) ?? {
      table: createRecordTable(),
      position: undefined,
      inSync: false,
      marks: { good: 0, bad: 0 },
      firstSyncs: 0,
      broken: undefined,
    };
    held.set(clusterId, known);
    return known;
  }

  function take(batch: Batch): void {
    batches.push(batch);
    const of = source(batch.clusterId);
    const first = batch.from === undefined;
    if (!first && JSON.stringify(text(batch.from)) !== JSON.stringify(text(of.position))) of.broken = "gap";
    if (first && !named.has(batch.clusterId)) named.set(batch.clusterId, new Set());
    for (const { kind, key, value } of batch.upserts) {
      of.table.set(hashRecord(kind, key, value));
      named.get(batch.clusterId)?.add(key);
    }
    for (const { key } of batch.deletes) of.table.delete(key);
    if (!first || batch.last) of.position = batch.to;
    if (first && batch.last) of.firstSyncs++;
  }

  function compare(mark: Mark): void {
    const of = source(mark.clusterId);
    if (JSON.stringify(text(mark.position)) !== JSON.stringify(text(of.position))) return;
    const fresh = named.get(mark.clusterId);
    if (fresh !== undefined) {
      for (const { key } of [...of.table.records()]) if (!fresh.has(key)) of.table.delete(key);
      named.delete(mark.clusterId);
    }
    const mine = of.table.sums(KINDS);
    const same = mark.sums.every((sum) => {
      const own = mine.find(({ kind }) => kind === sum.kind);
      return own?.count === sum.count && own.sum.equals(sum.sum);
    });
    if (same) of.marks.good++;
    else of.marks.bad++;
    of.inSync = same;
  }

  call.on("data", ({ message }: ToAgent) => {
    if (message?.$case === "welcome") welcome = message.value;
    if (message?.$case === "sourceState") states.push(message.value);
    if (message?.$case === "sourceStates") states.push(...message.value.states);
    if (message?.$case === "batch") take(message.value);
    if (message?.$case === "mark") {
      marks.push(message.value);
      compare(message.value);
    }
    if (message?.$case === "goAway") goAway = message.value;
    if (message?.$case === "bucket" && message.value.index === 256) emptyExchanges.add(message.value.kind);
    else if (message?.$case === "bucket") {
      const { clusterId, kind, index, records } = message.value;
      bucketsSeen++;
      const { table } = source(clusterId);
      for (const record of [...table.records(kind)]) if (bucketOf(record.key) === index) table.delete(record.key);
      for (const record of records) table.set(hashRecord(record.kind, record.key, record.value));
      if (message.value.last) source(clusterId).broken = undefined;
    }
  });
  call.on("error", (failed: { code?: number; details?: string }) => {
    error = failed;
    ended = true;
  });
  call.on("end", () => {
    ended = true;
  });
  const [protocolMin, protocolMax] = options.protocol ?? [1, 1];
  call.write({
    message: {
      $case: "hello",
      value: {
        role: options.role ?? Role.ROLE_AGENT,
        node,
        protocolMin,
        protocolMax,
        capabilities: [...capabilities],
        sources: [...(options.sources ?? [])],
        version: "test",
      },
    },
  });
  return {
    held,
    get welcome() {
      return welcome;
    },
    states,
    batches,
    marks,
    emptyExchanges,
    get bucketsSeen() {
      return bucketsSeen;
    },
    get goAway() {
      return goAway;
    },
    get error() {
      return error;
    },
    get ended() {
      return ended;
    },
    source,
    keys: (clusterId) => [...source(clusterId).table.records()].map(({ key }) => key),
    value: (clusterId, key) => source(clusterId).table.get(key)?.value,
    send: (message) => void call.write({ message }),
    ack(clusterId) {
      const { position } = source(clusterId);
      const observedUs = batches.filter((batch) => batch.clusterId === clusterId).at(-1)?.observedUs ?? 0n;
      const appliedUs = BigInt(Math.round(Date.now() * 1000));
      const applied = [{ clusterId, position, observedUs, appliedUs }];
      const policies =
        clusterId === 0 && capabilities.includes(POLICIES) ? { position, inForce: policiesHeld() } : undefined;
      call.write({ message: { $case: "ack", value: Ack.fromPartial({ applied, ...(policies && { policies }) }) } });
    },
    pause: () => void call.pause(),
    resume: () => void call.resume(),
    close() {
      call.cancel();
      client.close();
    },
  };
}

function text(position: Batch["to"]): readonly string[] {
  if (position === undefined) return [];
  return [position.storeId.toString("hex"), String(position.revision), ...versionsOf(position).map(String)];
}
