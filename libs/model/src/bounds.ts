/**
 * Clamps numbers to the ranges of protobuf fields. An encoder throws on a number that does not fit, and these numbers
 * come from clocks of other nodes and clusters: a peer that is wrong by years must not stop this process from sending.
 */

/** The nearest whole number from 0 to 2³² - 1; 0 for NaN. */
export function toUint32(value: number): number {
  return clampRound(value, 0, 0xffff_ffff);
}

/** The nearest whole number from -2³¹ to 2³¹ - 1; 0 for NaN. */
export function toSint32(value: number): number {
  return clampRound(value, -0x8000_0000, 0x7fff_ffff);
}

/** The nearest whole number from 0 to 2⁶³ - 1, as the bigint that the 64-bit encoder takes; 0 for NaN. */
export function toUint64(value: number): bigint {
  if (Number.isNaN(value) || value <= 0) return 0n;
  return value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(Math.round(value));
}

function clampRound(value: number, min: number, max: number): number {
  return Number.isNaN(value) ? 0 : Math.min(max, Math.max(min, Math.round(value)));
}
