/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type IdentityErrorCode =
  /**
   * Every identity number of this cluster was given once; none is given twice. New label sets of pods get no identity, so such
   * pods do not start; all others go on. Fix: find the pod label that has another value for each pod (`kubectl get meshidentities
   * -o yaml`) and remove it from the pods' templates, then ask for advice in an issue: the numbers of a cluster suffice for one
   * new label set a minute for two years.
   */
  | "IDENTITIES_EXHAUSTED"
  /**
   * A number or a text is no identity: a record of another version, or a corrupt one. Fix: run the same version in all clusters;
   * if they do, it is a mistake in the program that wrote it and worth an issue.
   */
  | "IDENTITY";
