/** Figures of many samples: what is quoted of them, and the table they make. */

/** A row of the result: one measure of one commit in one round. */
export interface Figure {
  readonly measure: string;
  readonly unit: string;
  readonly value: number;
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
};

const round = (value: number): string =>
  Number.isNaN(value) ? '-' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** Median, and least and largest where there is more than one. */
const spread = (values: readonly number[]): string =>
  values.length > 1
    ? `${round(quantile(values, 0.5))} (${round(Math.min(...values))}–${round(Math.max(...values))})`
    : round(values[0] ?? Number.NaN);

/** A Markdown table of `before` beside `now`, with the ratio of the medians. */
export function table(before: readonly Figure[], now: readonly Figure[]): string {
  const measures = [...new Map([...now, ...before].map(({ measure, unit }) => [measure, unit]))];
  const of = (figures: readonly Figure[], measure: string) =>
    figures.filter((figure) => figure.measure === measure).map(({ value }) => value);
  const rows = measures.map(([measure, unit]) => {
    const [old, fresh] = [of(before, measure), of(now, measure)];
    const ratio = quantile(fresh, 0.5) / quantile(old, 0.5);
    return `| ${measure} | ${unit} | ${spread(old)} | ${spread(fresh)} | ${round(ratio)} |`;
  });
  return ['| measure | unit | before | now | now / before |', '|---|---|---|---|---|', ...rows].join('\n');
}
