/**
 * TLS to a server that is dialled by its address: verified against that address, and no server name is sent.
 *
 * RFC 6066 permits no address as a server name. grpc-js passes the address to Node as one (Node warns, DEP0123, and
 * will ignore it in a later release). Servers dialled by name use the credentials of grpc-js. Both verify the same: the
 * CA, and that the certificate is for the dialled address or name.
 */
import { isIP } from "node:net";
import { connect, type SecureContext } from "node:tls";
import { CallCredentials, ChannelCredentials, credentials } from "@grpc/grpc-js";
import { type Connector, type CreateConnector, createHandshakes, type Handshakes } from "./handshakes.js";

/** `handshakes`: bounds the handshakes; without it each is bounded, but nothing can end all of them. */
export function addressCredentials(
  context: SecureContext,
  handshakes: Handshakes = createHandshakes(),
): ChannelCredentials {
  return new AddressCredentials(context, handshakes);
}

class AddressCredentials extends ChannelCredentials {
  readonly #context: SecureContext;
  readonly #byName: ChannelCredentials;

  readonly #handshakes: Handshakes;

  constructor(context: SecureContext, handshakes: Handshakes) {
    super();
    this.#context = context;
    this.#handshakes = handshakes;
    this.#byName = credentials.createFromSecureContext(context);
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...[target, options, calls]: Parameters<CreateConnector>): Connector {
    const host = hostOf(target.path);
    const connector =
      isIP(host) === 0
        ? this.#byName._createSecureConnector(target, options, calls)
        : connectorTo(host, this.#context, calls ?? CallCredentials.createEmpty());
    return this.#handshakes.guard(connector);
  }
}

/** Without `servername`, Node verifies the certificate against `host`. */
function connectorTo(host: string, secureContext: SecureContext, calls: CallCredentials): Connector {
  return {
    connect: (socket) =>
      new Promise((resolve, reject) => {
        const secured = connect({ socket, host, secureContext, ALPNProtocols: ["h2"] }, () => {
          if (secured.authorized) resolve({ socket: secured, secure: true });
          else reject(secured.authorizationError);
        });
        secured.on("error", reject);
      }),
    waitForReady: () => Promise.resolve(),
    getCallCredentials: () => calls,
    destroy: () => undefined,
  };
}

/** `10.0.0.1:2379`, `[::1]:2379`, `name:2379` */
function hostOf(path: string): string {
  return path.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
