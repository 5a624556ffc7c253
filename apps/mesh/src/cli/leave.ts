/**
 * Leaves the process once a command is done, whatever it left open.
 *
 * Clients close what they opened, but grpc-js abandons a connection whose TCP or TLS handshake has not ended, and Node waits
 * for it. So every connection is known here from its first moment, and none outlives the command.
 */
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

export interface Connections {
  /** Cuts all of them; the process ends by itself then. `signal`: the signal by which its user ended it. */
  leave(signal: NodeJS.Signals | undefined): void;
}

/**
 * Two things that cannot be cancelled keep a process alive: a name look-up in the system's resolver (a thread that waits for
 * DNS) and a kubeconfig's credential plugin (a child process of a library). They are not waited for. An exit joins the
 * thread, so it would wait for the resolver to give up: the process becomes a shell that ends with the exit code instead.
 * Node before 22.15 cannot do that; there only a death by signal ends the look-up.
 */
const UNCANCELLED_MS = 200;

const { execve } = process as { readonly execve?: (file: string, argv: readonly string[]) => void };

export function trackConnections(): Connections {
  const open = new Set<Socket>();
  subscribe("net.client.socket", (message) => {
    const { socket } = message as { readonly socket: Socket };
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  return {
    leave(signal) {
      for (const socket of open) socket.destroy();
      // From here on a signal ends the process as if it had never been listened to.
      for (const name of ["SIGINT", "SIGTERM"]) process.removeAllListeners(name);
      const end = () => {
        if (!isLookingUp()) process.exit();
        execve?.("/bin/sh", ["sh", "-c", `exit ${process.exitCode ?? 0}`]);
        if (signal !== undefined) process.kill(process.pid, signal);
        else process.exit();
      };
      // Answers first: where writes to stdout are asynchronous, this comes after them.
      process.stdout.write("", () => setTimeout(end, UNCANCELLED_MS).unref());
    },
  };
}

/** A thread of this process waits for the system's resolver. */
function isLookingUp(): boolean {
  return process.getActiveResourcesInfo().includes("GetAddrInfoReqWrap");
}
