/** The clients: which tool each needs, and its command. */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CURL_WRITE_OUT, createCurlReader } from "./ledger.js";

export const MODES = ["fresh", "pooled"] as const;
export type Mode = (typeof MODES)[number];

export interface ClientOrder {
  /** `10.96.0.1:80` */
  readonly address: string;
  /** Requests a second. */
  readonly rate: number;
  readonly mode: Mode;
}

export interface ClientProgram {
  readonly name: string;
  readonly tool: string;
  /** The program and its arguments. `folder`: for what has to be compiled. */
  command(order: ClientOrder, folder: string): Promise<readonly string[]>;
  /** Makes a ledger's lines of what it prints, undefined for none; absent when it prints these. */
  readonly createReader?: () => (text: string) => string | undefined;
}

const SOURCES = fileURLToPath(new URL("../../clients/", import.meta.url));
const words = ({ address, rate, mode }: ClientOrder) => [address, String(rate), mode];
/** More than a drill has time for. */
const MOST_REQUESTS = 1_000_000;

export const CLIENTS: readonly ClientProgram[] = [
  {
    name: "curl",
    tool: "curl",
    createReader: createCurlReader,
    // One transfer after another, so its loop is closed: one that hangs delays those behind it.
    async command({ address, rate, mode }) {
      const limits = ["--connect-timeout", "1", "--max-time", "2", "--rate", `${rate}/s`];
      const headers = mode === "fresh" ? ["--header", "Connection: close"] : ["--header", "Connection: keep-alive"];
      const output = ["--silent", "--verbose", "--stderr", "-", "--output", "/dev/null", "--write-out", CURL_WRITE_OUT];
      return ["curl", ...limits, ...headers, ...output, `http://${address}/?[1-${MOST_REQUESTS}]`];
    },
  },
  {
    name: "Go",
    tool: "go",
    async command(order, folder) {
      const program = join(folder, "client-go");
      const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GO111MODULE: "off" };
      await promisify(execFile)("go", ["build", "-o", program, join(SOURCES, "client.go")], { env });
      return [program, ...words(order)];
    },
  },
  {
    name: "Java",
    tool: "java",
    async command(order) {
      const settings = ["jdk.httpclient.allowRestrictedHeaders=connection", "jdk.httpclient.disableRetryConnect=true"];
      return ["java", ...settings.map((each) => `-D${each}`), join(SOURCES, "Client.java"), ...words(order)];
    },
  },
  {
    name: "Node",
    tool: "node",
    command: async (order) => [process.execPath, join(SOURCES, "client.mjs"), ...words(order)],
  },
];

/** True when a program of this name can be called. */
export function isInPath(tool: string, path = process.env["PATH"] ?? ""): boolean {
  return path.split(":").some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
