/**
 * The etcd3 client as a transport: connections, mTLS, protobuf; nothing else of it is used.
 *
 * These options are always set, each after a measured loss: a limit for received messages that is above any single
 * entry that etcd accepts, keepalive 10 s / 3 s, deadlines for unary calls, and none of etcd3's fault handling (its
 * retries repeat writes, its breaker blocks every call for seconds). Certificates are read once: to rotate them, create
 * a new transport.
 */
import { createSecureContext } from "node:tls";
import { Channel, type ClientOptions } from "@grpc/grpc-js";
import { Etcd3, type ICallable, type IOptions } from "etcd3";
import { addressCredentials } from "./address-credentials.js";
import { cancelWith } from "./cancel-with.js";
import { createHandshakes, type Handshakes } from "./handshakes.js";
import { createHostPolicies, PASS } from "./host-policy.js";

export interface StoreOptions {
  /** `https://host:port`, or `http://` without certificates. */
  readonly endpoints: readonly string[];
  /** PEM: the store's CA. */
  readonly ca?: string;
  /** PEM: the client certificate; its common name is the store's user. */
  readonly certificate?: string;
  /** PEM: its private key. */
  readonly key?: string;
  /** Deadline of a unary call; 3000 when absent. */
  readonly deadlineMs?: number;
  /** Ends every call, with its reason. */
  readonly signal?: AbortSignal;
}

export const DEFAULT_DEADLINE_MS = 3000;

/**
 * Larger messages are rejected, not buffered. By default etcd accepts requests of 1.5 MiB and splits watch responses at
 * that size, and pages are smaller; so only a store with another `--max-request-bytes` can contain an entry that is too
 * large.
 */
export const MAX_RECEIVED_BYTES = 16 << 20;

export class Transport extends Etcd3 {
  readonly #handshakes: Handshakes;

  constructor(options: StoreOptions) {
    const handshakes = createHandshakes();
    super(etcdOptions(options, handshakes));
    this.#handshakes = handshakes;
  }

  /** Also ends connections that are still being made. */
  override close(): void {
    super.close();
    this.#handshakes.endAll();
  }

  /** The raw calls, for what etcd3 does not offer: watches with metadata, auth status. */
  get calls(): ICallable<unknown> {
    return this.pool;
  }
}

function etcdOptions(options: StoreOptions, handshakes: Handshakes): IOptions {
  const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  return {
    hosts: options.endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, "")),
    grpcOptions: {
      "grpc.max_receive_message_length": MAX_RECEIVED_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 3_000,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
      ...(options.signal === undefined ? {} : { interceptors: [cancelWith(options.signal)] }),
      ...(isSecure(options) ? { channelFactoryOverride: secureChannels(options, handshakes) } : {}),
    },
    defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + deadlineMs }),
    faultHandling: { host: createHostPolicies(new Set(options.endpoints).size), global: PASS },
  };
}

function isSecure({ ca, endpoints }: StoreOptions): boolean {
  return ca !== undefined || endpoints.some((endpoint) => endpoint.startsWith("https:"));
}

/** Channels with `addressCredentials` instead of etcd3's, which do not distinguish an address from a name. */
function secureChannels(
  { ca, certificate, key }: StoreOptions,
  handshakes: Handshakes,
): NonNullable<ClientOptions["channelFactoryOverride"]> {
  const channelCredentials = addressCredentials(createSecureContext({ ca, cert: certificate, key }), handshakes);
  return (address, _, options) => new Channel(address, channelCredentials, options);
}
