/** What ends something that a test has started. */
export type Stop = () => unknown;

/**
 * What is to be stopped after each test of a file or a `describe`, in this order; one that fails keeps none of the
 * others from it. Jest runs such hooks in the order in which they are made.
 */
export function useStops(): Stop[] {
  const stops: Stop[] = [];
  afterEach(async () => {
    const errors: unknown[] = [];
    for (const stop of stops.splice(0)) {
      try {
        await stop();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join('\n'));
  });
  return stops;
}
