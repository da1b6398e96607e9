/** Characters of events that all imports of a process hold together at most, beside one event each. */
const MAX_CHARACTERS = 32 * 1024 * 1024;

/**
 * What imports have read and not stored. There may be as many uploads as connections, and they are stored a few at a
 * time: once all together hold much, each stores what it has at once, and reads on when others have stored theirs.
 */
export class UnstoredEvents {
  private characters = 0;
  private storing = 0;
  private waiting: (() => void)[] = [];

  constructor(private readonly max = MAX_CHARACTERS) {}

  /** Whether nobody should gather any more before it stores. */
  get isFull(): boolean {
    return this.characters >= this.max;
  }

  /** Counts an event until `store` has stored it. */
  add(characters: number): void {
    this.characters += characters;
  }

  /** Runs what stores events of so many characters; whatever becomes of them, they are gone then. */
  async store<T>(characters: number, work: () => Promise<T>): Promise<T> {
    this.storing++;
    try {
      return await work();
    } finally {
      this.storing--;
      this.characters -= characters;
      for (const goOn of this.waiting.splice(0)) goOn();
    }
  }

  /** Waits for room while others are storing. What slow uploads have gathered keeps nobody waiting. */
  async room(): Promise<void> {
    while (this.isFull && this.storing > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}
