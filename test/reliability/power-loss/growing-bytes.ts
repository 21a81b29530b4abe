/** The content of a file: bytes that grow where they are written, zeros in between. */
export class GrowingBytes {
  #bytes: Buffer;
  #length: number;

  constructor(content: Uint8Array = Buffer.alloc(0)) {
    this.#bytes = Buffer.from(content);
    this.#length = content.length;
  }

  get length(): number {
    return this.#length;
  }

  /** Not a copy: later changes show. */
  get content(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  write(data: Uint8Array, offset: number): void {
    const end = offset + data.length;
    if (end > this.#length) this.resize(end);
    this.#bytes.set(data, offset);
  }

  resize(length: number): void {
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(length, this.#bytes.length * 2));
      this.content.copy(larger);
      this.#bytes = larger;
    } else if (length < this.#length) {
      this.#bytes.fill(0, length, this.#length);
    }
    this.#length = length;
  }

  /** Takes over the blocks that hold these bytes, as far as `from` has them. */
  copyBlocks(from: GrowingBytes, offset: number, length: number, block: number): void {
    const start = Math.floor(offset / block) * block;
    const end = Math.min(Math.ceil((offset + length) / block) * block, from.length);
    if (end > start) this.write(from.content.subarray(start, end), start);
  }
}
