/**
 * Numbers as the wire can carry them. An encoder throws on what does not fit, and numbers here come from other clocks and other
 * clusters: a peer that is wrong by years must not make us say nothing at all.
 */

/** The nearest whole number from 0 to 2³² - 1; 0 for what is no number. */
export function toUint32(value: number): number {
  return within(value, 0, 0xffff_ffff);
}

/** The nearest whole number from -2³¹ to 2³¹ - 1; 0 for what is no number. */
export function toSint32(value: number): number {
  return within(value, -0x8000_0000, 0x7fff_ffff);
}

/** The nearest whole number from 0 to 2⁶³ - 1, as the encoder of 64 bits wants it; 0 for what is no number. */
export function toUint64(value: number): bigint {
  if (Number.isNaN(value) || value <= 0) return 0n;
  return value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(Math.round(value));
}

function within(value: number, min: number, max: number): number {
  return Number.isNaN(value) ? 0 : Math.min(max, Math.max(min, Math.round(value)));
}
