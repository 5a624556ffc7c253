/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type IdentityErrorCode =
  /**
   * A number or a text is no identity: a record of another version, or a corrupt one. Fix: run the same version in all clusters;
   * if they do, it is a mistake in the program that wrote it and worth an issue.
   */
  "IDENTITY";
