/**
 * Calls that the bus works on right now: read whole, and not decided yet. Whoever is slow to send his request or to read
 * his answer costs a connection, but keeps nobody out.
 */
export class Load {
  #calls = 0;

  get calls(): number {
    return this.#calls;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#calls++;
    try {
      return await work();
    } finally {
      this.#calls--;
    }
  }
}
