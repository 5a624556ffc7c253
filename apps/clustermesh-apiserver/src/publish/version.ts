/** The version of the records that this publisher writes; the head's `min_reader` requires it of readers. */
export const RECORD_VERSION = 1;
