/**
 * gRPC `mesh.v1.Admin/Serve` for agents, beside `StateSync`: the node's name is in the certificate, and the first message
 * names it too. Answers are checked on their bytes before they are decoded.
 */
import { type handleBidiStreamingCall, type ServerDuplexStream, type ServiceDefinition, status } from "@grpc/grpc-js";
import { printable } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { AdminService, AgentMessage, type QueryMessage } from "@isthmus/proto";
import type { AgentQueries, QueryAgent } from "./agent-queries.js";
import { answerProblem } from "./message-bounds.js";
import type { NodeBudgets } from "./node-budget.js";
import { nodeOf } from "./node-certificate.js";

export interface QueryServerModules {
  /** Gets each stream after its hello. */
  readonly queries: AgentQueries;
  /** Streams and log lines of a node are limited; those of this service alone. */
  readonly budgets: Pick<NodeBudgets, "stream" | "mayLog">;
  /** Gets refusals at a limited rate, and internal errors. */
  readonly log: Logger;
}

/** A message of an agent; one out of bounds is not decoded. */
type Received = { readonly message: AgentMessage["message"] } | { readonly problem: string };
type Call = ServerDuplexStream<Received, QueryMessage>;

const HELLO_MS = 10_000;

/** The definition and the handler, for the server of agents. */
export function queryService(modules: QueryServerModules): {
  readonly definition: ServiceDefinition;
  readonly handlers: { readonly serve: handleBidiStreamingCall<Received, QueryMessage> };
} {
  const definition = { serve: { ...AdminService.serve, requestDeserialize: decode } } as unknown as ServiceDefinition;
  return { definition, handlers: { serve: (call) => serve(call, modules) } };
}

function decode(bytes: Buffer): Received {
  const problem = answerProblem(bytes);
  return problem === undefined ? { message: AgentMessage.decode(bytes).message } : { problem };
}

function serve(call: Call, { queries, budgets, log }: QueryServerModules): void {
  const node = nodeOf(call);
  let agent: QueryAgent | undefined;
  let over = false;

  function close(): void {
    clearTimeout(late);
    over = true;
    agent?.closed();
    agent = undefined;
  }
  function refuse(code: status, details: string): void {
    if (budgets.mayLog(node ?? ""))
      log.warn("Agent's stream for queries refused", { node, peer: call.getPeer(), reason: details });
    close();
    call.emit("error", { code, details });
  }
  const late = setTimeout(() => refuse(status.DEADLINE_EXCEEDED, "No hello within 10 s"), HELLO_MS);

  function take(received: Received): void {
    if ("problem" in received)
      return void refuse(status.INVALID_ARGUMENT, `Message out of bounds: ${received.problem}`);
    const { message } = received;
    if (message?.$case === "hello") return void greet(message.value.node);
    if (agent === undefined) return void refuse(status.INVALID_ARGUMENT, "The first message is not a hello");
    const problem = message === undefined ? undefined : agent.answer(message.value);
    if (problem !== undefined) refuse(status.INVALID_ARGUMENT, `Answer does not fit: ${problem}`);
  }

  function greet(name: string): void {
    if (agent !== undefined) return void refuse(status.INVALID_ARGUMENT, "Second hello on one stream");
    if (node === undefined || node !== name) {
      const owner = node === undefined ? "no node" : `node "${node}"`;
      return void refuse(status.PERMISSION_DENIED, `Certificate is of ${owner}, not of node "${printable(name, 64)}"`);
    }
    clearTimeout(late);
    agent = queries.open(node, {
      write: (message) => {
        if (!over) call.write(message);
      },
      end: () => call.end(),
    });
  }

  call.on("data", (received: Received) => {
    if (over) return;
    try {
      take(received);
    } catch (thrown) {
      log.error("Internal error on agent's stream for queries", { node, error: thrown });
      close();
      call.emit("error", { code: status.INTERNAL, details: "Internal error of clustermesh-apiserver: see its log" });
    }
  });
  call.on("end", () => {
    close();
    call.end();
  });
  call.on("cancelled", close);
  call.on("error", close);
  call.on("close", close);
  if (!budgets.stream(node ?? ""))
    refuse(status.RESOURCE_EXHAUSTED, `node "${node}" opens streams faster than an agent does: wait some seconds`);
}
