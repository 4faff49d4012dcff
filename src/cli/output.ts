/** Writes data in the form that was asked for with `-o`. */
import { printName } from './columns.js';
import { terminal } from './terminal.js';

export const FORMATS = ['table', 'json', 'yaml', 'name'] as const;
export type Format = (typeof FORMATS)[number];

/** Writes `value`, exactly as REST gives it, or the table that `table` makes of it. */
export async function writeData(format: Format, value: unknown, table: () => string): Promise<void> {
  terminal.out(await printData(format, value, table));
}

async function printData(format: Format, value: unknown, table: () => string): Promise<string> {
  switch (format) {
    case 'table':
      return table();
    case 'json':
      return `${JSON.stringify(value, null, 2)}\n`;
    case 'yaml': {
      const { stringify } = await import('yaml');
      return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
    }
    case 'name':
      return itemsOf(value)
        .map((item) => `${printName(item)}\n`)
        .join('');
  }
}

/** The items of a list, or the one object that is none. */
function itemsOf(value: unknown): readonly unknown[] {
  const items = (value as { readonly items?: unknown }).items;
  return Array.isArray(items) ? items : [value];
}
