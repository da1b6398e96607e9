import { log } from './log.mjs';

/** What is to be undone at the end, the latest first; also after a failure and when a signal ends the run. */
export class Cleanup {
  #undos = [];
  #isClosed = false;

  /** @throws when the end has come: then nothing may be made any more */
  add(undo) {
    if (this.#isClosed) throw new Error('The benchmark is being stopped.');
    this.#undos.push(undo);
  }

  /** A part that can end before the whole does. */
  scope() {
    const scope = new Cleanup();
    this.add(() => scope.run());
    return scope;
  }

  /** Undoes everything once; a failure is reported and stops nothing. */
  async run() {
    this.#isClosed = true;
    for (let undo = this.#undos.pop(); undo; undo = this.#undos.pop()) {
      try {
        await undo();
      } catch (error) {
        log(`not cleaned up: ${error.message}`);
      }
    }
  }
}
