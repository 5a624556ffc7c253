/**
 * Writes log lines: a fixed message plus fields, one JSON object per line, on stderr.
 *
 * Levels: error = an operator must act; warn = something is refused or degraded; info = a change worth a line in a
 * timeline; debug = everything else. While nothing changes, nothing is logged. What may be a secret is replaced by
 * "[secret]". Fields may contain text from other clusters, nodes and pods: long texts and lists are cut, and control
 * characters are escaped.
 */
import { MeshError, printableJson } from "@isthmus/model";
import { type DestinationStream, destination, pino } from "pino";
import { boundFields } from "./bound-fields.js";
import { scrub } from "./scrub.js";

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface Logger {
  /** Written only with MESH_LOG=debug. `message` is a fixed text; everything that varies is a field. */
  debug(message: string, fields?: LogFields): void;
  /** A change that is worth a line in a timeline. */
  info(message: string, fields?: LogFields): void;
  /** Something is refused or degraded, and the program goes on. */
  warn(message: string, fields?: LogFields): void;
  /** An operator must act. The field `error` may be anything that was thrown. */
  error(message: string, fields?: LogFields): void;
  /** A logger for one module of the process; its lines carry `module`. */
  child(module: string, fields?: LogFields): Logger;
}

export interface LoggerOptions {
  /** Name of the program, in every line as `app`. */
  readonly app: string;
  /** "info" unless given here or in MESH_LOG. */
  readonly level?: LogLevel;
  /** Where lines go: stderr unless given. */
  readonly destination?: DestinationStream;
}

/** Fields replaced whole in the two top levels; scrub.ts removes what looks like a secret at any depth. */
const SECRETS = ["token", "authorization", "password", "key", "privateKey"];

/** Writes synchronously, so that no line is lost when the process exits. */
export function createLogger(options: LoggerOptions): Logger {
  const root = pino(
    {
      base: { app: options.app },
      level: options.level ?? levelFromEnvironment(),
      timestamp: pino.stdTimeFunctions.isoTime,
      // Not "message", which is the name of a field of many statuses.
      messageKey: "msg",
      formatters: { level: (label) => ({ level: label }), log: boundFields },
      hooks: { streamWrite: (line) => printableJson(scrub(line)) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: "[secret]" },
      serializers: { error: (thrown: unknown) => boundFields({ error: describeError(thrown) })["error"] },
    },
    options.destination ?? destination({ fd: 2, sync: true }),
  );
  return wrap(root, root, {});
}

/** A logger that drops everything: for tests. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

/** `bound`: the fields of every line of `inner`. A child's module is appended to its parent's, in one field. */
function wrap(inner: pino.Logger, root: pino.Logger, bound: LogFields): Logger {
  return {
    debug: (message, fields = {}) => inner.debug(fields, message),
    info: (message, fields = {}) => inner.info(fields, message),
    warn: (message, fields = {}) => inner.warn(fields, message),
    error: (message, fields = {}) => inner.error(fields, message),
    child(module, fields = {}) {
      const parent = bound["module"];
      const bindings = {
        ...bound,
        ...boundFields(fields),
        module: parent === undefined ? module : `${String(parent)}.${module}`,
      };
      return wrap(root.child(bindings), root, bindings);
    },
  };
}

/** `error` fields: code, sentence and the chain of causes, without stacks except for programming errors. */
function describeError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const cause = thrown.cause === undefined ? {} : { cause: describeError(thrown.cause) };
  if (thrown instanceof MeshError) return { code: thrown.code, sentence: thrown.message, ...cause };
  const bug = thrown instanceof TypeError || thrown instanceof RangeError || thrown instanceof ReferenceError;
  return { sentence: thrown.message, ...(bug ? { stack: thrown.stack } : {}), ...cause };
}

function levelFromEnvironment(): LogLevel {
  const level = process.env["MESH_LOG"];
  return level === "debug" || level === "warn" || level === "error" || level === "silent" ? level : "info";
}
