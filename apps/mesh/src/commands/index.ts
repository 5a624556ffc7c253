/** Every command, in the order of the help. */
import type { Command } from "../cli/command.js";
import { bpfConntrack } from "./bpf/conntrack.js";
import { bpfDump } from "./bpf/dump.js";
import { version } from "./cli/version.js";
import { connect } from "./cluster/connect.js";
import { status } from "./cluster/status.js";
import { identityList } from "./identity/list.js";
import { lab } from "./lab/lab.js";
import { monitor } from "./monitor/monitor.js";
import { policyDiff } from "./policy/diff.js";
import { policyExplain } from "./policy/explain.js";
import { policyList } from "./policy/list.js";
import { serviceExplain } from "./service/explain.js";
import { serviceList } from "./service/list.js";

export const COMMANDS: readonly Command[] = [
  connect,
  status,
  serviceList,
  serviceExplain,
  policyList,
  policyExplain,
  policyDiff,
  identityList,
  monitor,
  bpfDump,
  bpfConntrack,
  lab,
  version,
];
