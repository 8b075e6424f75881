// How well each class is recognised, and what it is taken for: counts after the last epoch, summed
// over seeds.

/** {names, part, counts} of a rule's runs that came to their end, or null. */
function confusionOf(group) {
  const tables = group.counted.map((run) => run.summary.confusion)
                     .filter((table) => isObject(table) && Array.isArray(table.counts));
  const size = tables.length ? tables[0].counts.length : 0;
  const square = (table) => table.counts.length === size && table.counts.every(
      (row) => Array.isArray(row) && row.length === size && row.every((n) => number(n) !== null && n >= 0));
  if (size < 2 || !tables.every(square)) return null;
  const named = Array.isArray(tables[0].names) && tables[0].names.length === size;
  return {
    part: text(tables[0].part) || 'held-out',
    names: tables[0].counts.map((_, c) => (named ? text(tables[0].names[c]) : String(c))),
    counts: tables[0].counts.map((row, r) => row.map((_, c) => tables.reduce((sum, t) => sum + t.counts[r][c], 0))),
  };
}
const total = (row) => row.reduce((sum, n) => sum + n, 0);

function classes() {
  const found = groups.map((group) => ({group, table: confusionOf(group)})).filter((one) => one.table);
  if (!found.length) return;
  const node = section(
      'classes', 'Classes', `Of the ${found[0].table.part} data after the last epoch`,
      repeated && ', summed over seeds', '.');
  const same = found.filter(({table}) => table.names.join('\n') === found[0].table.names.join('\n'));
  const recognised = (table, c) => (total(table.counts[c]) ? table.counts[c][c] / total(table.counts[c]) : null);
  const maps = grid(node, 'one');
  figure(
      maps, 'class-accuracy',
      () => heatMap({
        title: 'Accuracy by class',
        rows: same.map(({group}) => group.label),
        columns: same[0].table.names,
        value: (r, c) => recognised(same[r].table, c),
        paint: (share) => mix('cool', share),
        format: QUANTITY.accuracy.format,
        short: (share) => [fixed(1)(100 * share), fixed(0)(100 * share)],
        rowName: 'rule',
        columnName: 'class',
        fitColumns: true,
        hole: 'no samples',
      }));
  const charts = grid(node, 'one');
  for (const {group, table} of found)
    figure(charts, `confusion:${group.label}`, () => heatMap({
             title: `${group.label}: what each class is taken for`,
             rows: table.names,
             columns: table.names,
             value: (r, c) => table.counts[r][c],
             paint: (n) => mix('cool', Math.sqrt(n / Math.max(1, ...table.counts.map(total)))),
             format: (n) => String(n),
             short: (n) => [String(n)],
             rowName: 'class',
             columnName: 'taken for',
             fitColumns: true,
             group,
           }));
}
