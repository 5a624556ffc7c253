/** The truth tables: one or more for each feature of policies that is accepted, in the words of users. */
import { ciliumTables } from "./cilium-tables.js";
import { networkTables } from "./network-tables.js";
import type { TruthTable } from "./table.js";

export const TABLES: readonly TruthTable[] = [...networkTables, ...ciliumTables];
