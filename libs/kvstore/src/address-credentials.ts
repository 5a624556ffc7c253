/**
 * TLS to a server that is dialled by its address: verified against that very address, and no server name is sent.
 *
 * A server name is for names: RFC 6066 permits no address there. grpc-js hands Node the address as one (Node warns, DEP0123,
 * and will ignore it one day). Names go the usual way. What is verified is the same in both: the CA, and that the
 * certificate is for what was dialled.
 */
import { isIP } from "node:net";
import { connect, type SecureContext } from "node:tls";
import { CallCredentials, ChannelCredentials, credentials } from "@grpc/grpc-js";
import { type Connector, type CreateConnector, createHandshakes, type Handshakes } from "./handshakes.js";

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
