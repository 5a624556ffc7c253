/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type ObserveErrorCode =
  /**
   * Another process listens on the address. Fix: find it with `ss -ltnp`, and stop it or choose another address: --listen,
   * --admin, --health, --metrics-address.
   */
  | "ADDRESS_IN_USE"
  /**
   * Calls to a server failed repeatedly, so for about a second the next ones fail at once. Fix: look for the errors before this
   * one, which say why calls fail; nothing needs to be reset.
   */
  | "BREAKER_OPEN"
  /**
   * A server did not answer a call in time. Fix: check that it runs, and the network to it; the call is repeated where that is
   * harmless.
   */
  | "DEADLINE"
  /** A metric has a name without the prefix "mesh_". Fix: it is a mistake in this program and worth an issue. */
  | "METRIC_NAME"
  /**
   * The command line of a process is wrong, and the process exits with code 2. Fix: correct the option that the sentence names;
   * the usage follows on stderr, and docs/reference/cli.md has it.
   */
  | "USAGE";
