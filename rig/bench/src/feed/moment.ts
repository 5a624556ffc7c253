/** Times of the clock that all processes of a machine share. */
export interface Moment {
  readonly service: number;
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly ms: number;
}

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
