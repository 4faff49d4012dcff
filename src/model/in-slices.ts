/** Long work in slices: whoever else has something to do gets a turn in between. */

/** How long one slice may take before that, in milliseconds. */
export const SLICE_MS = 4;

/** What `make` makes of each of `items`, one after the other. */
export async function inSlices<Item, Made>(
  items: Iterable<Item>,
  make: (item: Item) => Made,
  elapsed: () => number = () => performance.now(),
): Promise<Made[]> {
  const made: Made[] = [];
  let end = elapsed() + SLICE_MS;
  for (const item of items) {
    if (elapsed() >= end) {
      await new Promise(setImmediate);
      end = elapsed() + SLICE_MS;
    }
    made.push(make(item));
  }
  return made;
}
