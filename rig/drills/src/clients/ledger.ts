/** What a client has printed: one line for every request (clients/README.md), or those of curl. Pure. */

export const RESULTS = ["ok", "connect", "established"] as const;
export type Result = (typeof RESULTS)[number];

export interface Ledger {
  readonly counts: Readonly<Record<Result, number>>;
  /** Milliseconds of the slowest request that was answered. */
  readonly slowestMs: number;
  /** Different details of failed requests, each with its number. */
  readonly errors: ReadonlyMap<string, number>;
  /** Requests that the client sent, by its own count; null before its end. */
  readonly sent: number | null;
}

export interface LedgerWriter extends Ledger {
  /** Throws on a line in another format. */
  line(text: string): void;
}

const LINE = /^(ok|connect|established) (\d+) ?(.*)$/;
const END = /^end (\d+)$/;

export function createLedger(): LedgerWriter {
  const counts: Record<Result, number> = { ok: 0, connect: 0, established: 0 };
  const errors = new Map<string, number>();
  let slowestMs = 0;
  let sent: number | null = null;
  return {
    counts,
    errors,
    get slowestMs() {
      return slowestMs;
    },
    get sent() {
      return sent;
    },
    line(text) {
      const end = END.exec(text);
      if (end !== null) {
        sent = Number(end[1]);
        return;
      }
      const [, result, ms, detail = ""] = LINE.exec(text) ?? [];
      if (result === undefined) throw new Error(`Cannot read a client's line "${text}"`);
      counts[result as Result] += 1;
      if (result === "ok") slowestMs = Math.max(slowestMs, Number(ms));
      else errors.set(`${result}: ${detail}`, (errors.get(`${result}: ${detail}`) ?? 0) + 1);
    },
  };
}

/** "Failed to connect", "operation timed out". */
const [CURL_NOT_CONNECTED, CURL_TIMEOUT] = ["7", "28"];

/** "* connect to 10.96.0.1 port 80 failed: Connection refused" */
const CURL_CONNECT = /^\* +connect to .* failed: (.*)$/;
/** What --write-out is to print: exit code, seconds until connected, seconds in all, error. */
export const CURL_WRITE_OUT = "ledger %{exitcode} %{time_connect} %{time_total} %{errormsg}\\n";
const CURL_END = /^ledger (\d+) ([\d.]+) ([\d.]+) ?(.*)$/;

/**
 * Reads the output of `curl --verbose`: a function that returns a ledger's line for the last line of each transfer, and undefined
 * for others.
 */
export function createCurlReader(): (text: string) => string | undefined {
  let failure = "";
  return (text) => {
    failure = CURL_CONNECT.exec(text)?.[1] ?? failure;
    const [, exit, connected, seconds, error] = CURL_END.exec(text) ?? [];
    if (exit === undefined) return undefined;
    const ms = Math.round(Number(seconds) * 1000);
    const why = failure;
    failure = "";
    if (exit === "0") return `ok ${ms}`;
    // A connect that is refused has another error: a connection that is reset was established.
    const isRefused = exit === CURL_NOT_CONNECTED && !why.includes("reset by peer");
    const isConnect = isRefused || (exit === CURL_TIMEOUT && Number(connected) === 0);
    return `${isConnect ? "connect" : "established"} ${ms} ${exit} ${why || error}`;
  };
}
