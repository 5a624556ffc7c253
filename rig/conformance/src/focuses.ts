/** The parts of the suite that can be run, by name. */

export interface Focus {
  readonly name: string;
  /** Of the full names of specs. */
  readonly includes: RegExp;
  readonly excludes: RegExp;
}

export const FOCUSES: readonly Focus[] = [
  {
    name: "NetworkPolicy",
    // The specs of the API itself have no tag.
    includes: /\[Feature:NetworkPolicy\]|\] Netpol API /,
    // The datapath does not carry SCTP.
    excludes: /\[Feature:SCTPConnectivity\]/,
  },
];

/** Specs of a focus, in the suite's order. */
export function specsOf({ includes, excludes }: Focus, names: readonly string[]): readonly string[] {
  return names.filter((name) => includes.test(name) && !excludes.test(name));
}
