/** Lays out rows under headings, as wide as they need. */

/** What a cell may be besides text: text that wants to be noticed. */
export type Cell = string | { readonly text: string; readonly tone: 'green' | 'yellow' | 'red' };

export interface Column<Item> {
  readonly heading: string;
  readonly cell: (item: Item) => Cell;
}

export type Paint = (tone: 'bold' | 'green' | 'yellow' | 'red', text: string) => string;

const GAP = '   ';

/** The table of `items`, a line each. No line ends in spaces, and nothing in a cell can move the cursor. */
export function printTable<Item>(columns: readonly Column<Item>[], items: readonly Item[], paint: Paint): string {
  const heading = columns.map((column): Cell => column.heading);
  const rows = items.map((item) => columns.map(({ cell }) => cell(item)));
  const widths = columns.map((_, at) => Math.max(...[heading, ...rows].map((row) => textOf(row[at]).length)));
  const line = (row: readonly Cell[], asHeading: boolean): string =>
    row
      .map((cell, at) => {
        const text = textOf(cell);
        const tone = asHeading ? 'bold' : typeof cell === 'string' ? undefined : cell.tone;
        const painted = tone && text !== '' ? paint(tone, text) : text;
        return at === row.length - 1 ? painted : painted + ' '.repeat((widths[at] ?? 0) - text.length);
      })
      .join(GAP)
      .trimEnd();
  return [line(heading, true), ...rows.map((row) => line(row, false))].join('\n') + '\n';
}

/** Others write what stands in cells: control characters could draw anything on the terminal. */
const textOf = (cell: Cell | undefined): string =>
  (typeof cell === 'object' ? cell.text : (cell ?? '')).replaceAll(/\p{Cc}+/gu, ' ');
