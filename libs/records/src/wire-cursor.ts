/**
 * Reads an encoded protobuf message field by field, without allocating objects.
 *
 * Throws RangeError when the bytes end too early or are not a message.
 */
export class WireCursor {
  at = 0;

  constructor(
    readonly bytes: Uint8Array,
    /** Where the message ends. */
    public end = bytes.length,
  ) {}

  /** The low 32 bits of a number, unsigned. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw tooShort();
      const byte = this.bytes[this.at++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError("Cannot read a number of more than ten bytes");
  }

  /** Field number and wire type. */
  tag(): number {
    const tag = this.varint();
    if (tag >>> 3 === 0) throw new RangeError("Cannot read field number 0");
    return tag;
  }

  /** Reads a length, which leaves `at` at the start of the contents; returns their end. */
  enter(): number {
    const length = this.varint();
    if (length > this.end - this.at) throw tooShort();
    return this.at + length;
  }

  /** Skips a field. */
  skip(tag: number): void {
    const type = tag & 7;
    if (type === 0) this.varint();
    else if (type === 2) this.at = this.enter();
    else if (type === 1 || type === 5) this.at += type === 1 ? 8 : 4;
    else throw new RangeError(`Cannot read a field of wire type ${type}`);
    if (this.at > this.end) throw tooShort();
  }
}

function tooShort(): RangeError {
  return new RangeError("Cannot read beyond the end of a record");
}
