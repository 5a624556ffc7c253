/** Describes what is wrong with a node's agent, in a few words. */
import { AgentPresence, type AgentReport } from "@isthmus/proto";
import { age } from "../output/units.js";

/** Undefined for an agent that is fine, and for one that is still awaited. */
export function agentProblem(agent: AgentReport, inSync: boolean): string | undefined {
  switch (agent.presence) {
    case AgentPresence.AGENT_PRESENCE_AWAITED:
      return undefined;
    case AgentPresence.AGENT_PRESENCE_NEVER_SEEN:
      return `no agent has connected for ${age(agent.silentMs)}`;
    case AgentPresence.AGENT_PRESENCE_DISCONNECTED:
      return `not connected for ${age(agent.silentMs)}`;
    default:
      if (!agent.connected) return "not connected";
      return inSync ? undefined : "not in sync";
  }
}

/** The agent has not connected yet, and it is too early to call that a problem. */
export function isAwaited({ presence }: AgentReport): boolean {
  return presence === AgentPresence.AGENT_PRESENCE_AWAITED;
}
