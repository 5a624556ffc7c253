/** The client's cluster, and the other one. */
export const NEAR = "east";
export const FAR = "west";
