/**
 * Ends the process once a command is done, whatever the command left open.
 *
 * Clients close their connections, but grpc-js abandons one whose TCP or TLS handshake has not ended, and Node waits for it.
 * So this module tracks every connection from its creation and destroys those that are left.
 */
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

export interface Connections {
  /** Destroys all connections, so that the process exits. `signal`: the signal by which the user ended it. */
  exitProcess(signal: NodeJS.Signals | undefined): void;
}

/**
 * Two things that cannot be cancelled keep a process alive: a name look-up in the system's resolver (a thread that waits for
 * DNS) and a kubeconfig's credential plugin (a child process of a library). The process does not wait for them longer than
 * this. An exit would join the thread and so wait until the resolver gives up: instead the process calls execve to become a
 * shell that exits with the code. Node before 22.15 has no execve; there only a death by signal ends the look-up.
 */
const UNCANCELLED_MS = 200;

const { execve } = process as { readonly execve?: (file: string, argv: readonly string[]) => void };

/** Call it before the first connection is made: it sees only later ones. */
export function trackConnections(): Connections {
  const open = new Set<Socket>();
  subscribe("net.client.socket", (message) => {
    const { socket } = message as { readonly socket: Socket };
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  return {
    exitProcess(signal) {
      for (const socket of open) socket.destroy();
      // From here on the default action of a signal ends the process.
      for (const name of ["SIGINT", "SIGTERM"]) process.removeAllListeners(name);
      const end = () => {
        if (!isLookingUp()) process.exit();
        execve?.("/bin/sh", ["sh", "-c", `exit ${process.exitCode ?? 0}`]);
        if (signal !== undefined) process.kill(process.pid, signal);
        else process.exit();
      };
      // Where writes to stdout are asynchronous, this callback runs after the pending ones.
      process.stdout.write("", () => setTimeout(end, UNCANCELLED_MS).unref());
    },
  };
}

/** True while a thread of this process waits for the system's resolver. */
function isLookingUp(): boolean {
  return process.getActiveResourcesInfo().includes("GetAddrInfoReqWrap");
}
