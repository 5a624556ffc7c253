/** Faults of the lab that a demo leaves behind, because it was killed, end after this time. */
export const LONGEST_FAULT_MS = 60_000;
