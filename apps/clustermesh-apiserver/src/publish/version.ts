/** The version of records that this publisher writes; a reader of an older one must be told by `min_reader`. */
export const RECORD_VERSION = 1;
