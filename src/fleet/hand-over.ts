// HandOver: values from one who has them to one who takes them, one at a time.

/** Hands values from one who has them to one who takes them: `give` settles when its value was taken and the next is asked for. */
export class HandOver<T> {
  #value: T | undefined;
  #ended = false;
  #taken = () => {};
  #came = () => {};

  give(value: T): Promise<void> {
    if (this.#ended) return Promise.resolve();
    this.#value = value;
    this.#came();
    return new Promise((resolve) => {
      this.#taken = resolve;
    });
  }

  /** The next value; `undefined`: there is none any more. */
  async take(): Promise<T | undefined> {
    this.#taken();
    while (this.#value === undefined && !this.#ended)
      await new Promise<void>((resolve) => {
        this.#came = resolve;
      });
    const value = this.#value;
    this.#value = undefined;
    return value;
  }

  end(): void {
    this.#ended = true;
    this.#came();
    this.#taken();
  }
}
