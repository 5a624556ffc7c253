/** Why a node's agent gives no answer to a query, and what to do. */
import { MonitorState } from "@isthmus/proto";

/** The end of a sentence; `message`: of the server. For every state but HEARD and UNKNOWN. */
export function whyNoAnswer(state: MonitorState, message: string): string {
  if (state === MonitorState.MONITOR_STATE_NO_QUERIES)
    return "its agent is of an older version, which answers no queries: upgrade it";
  if (state === MonitorState.MONITOR_STATE_NOT_CONNECTED)
    return `${message === "" ? "its agent is not connected to a server that answers" : message}; see mesh status`;
  if (state === MonitorState.MONITOR_STATE_UNAVAILABLE)
    return message.includes("older version") ? `${message}; upgrade it` : message;
  return `the server reports state ${state}, which this version does not know`;
}
