// The numbers of the page as files, made in the page: nothing is loaded.

const csvCell = (v) => {
  const words = text(v);
  return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
};
const csv = (rows) => rows.map((row) => row.map(csvCell).join(',')).join('\r\n') + '\r\n';

/** One row per rule, in the records' own units. */
function resultsCsv(columns) {
  const head = ['rule', 'runs', 'status', ...columns.flatMap(({key}) => [`${key}_mean`, `${key}_std`, `${key}_n`])];
  const rows =
      groups.map((group) => [group.label, group.runs.length, statusOf(group).words, ...columns.flatMap((column) => {
                   const value = column.of(group);
                   return value ? [value.mean, value.deviation, value.n] : ['', '', 0];
                 })]);
  return csv([head, ...rows]);
}

/** One row per number: rule, seed, epoch, quantity, layer, value. */
function epochsCsv() {
  const rows = [];
  for (const group of groups)
    for (const run of group.runs)
      for (const epoch of run.epochs) {
        const put = (quantity, layer, value) =>
            number(value) !== null && rows.push([group.label, run.seed, epoch, quantity, layer, value]);
        for (const [key, value] of Object.entries(run.at.get(epoch))) {
          if (key !== 'epoch') put(key, '', value);
          if (isObject(value))
            for (const [quantity, inner] of Object.entries(value)) put(quantity, '', inner);
          for (const entry of objects(value))
            for (const [quantity, inner] of Object.entries(entry)) put(quantity, text(entry.name), inner);
        }
      }
  return csv([['rule', 'seed', 'epoch', 'quantity', 'layer', 'value'], ...rows]);
}

function downloads(columns) {
  const stem = `altprop-${text(data.summary.data) || 'report'}`.replace(/[^\w.-]+/g, '-');
  const button = (label, name, type, content) =>
      h('button', {
        type: 'button',
        class: 'option',
        'data-download': name,
        click: () => {
          const link = h('a', {href: URL.createObjectURL(new Blob([content()], {type})), download: `${stem}-${name}`});
          document.body.append(link);
          link.click();
          link.remove();
          setTimeout(() => URL.revokeObjectURL(link.href), 10000);
        },
      },
        label);
  return h(
      'div', {class: 'options download'}, h('span', {class: 'about'}, 'Download:'),
      button('Results, CSV', 'results.csv', 'text/csv', () => resultsCsv(columns)),
      button('Every epoch, CSV', 'epochs.csv', 'text/csv', epochsCsv),
      button('All records, JSON', 'records.json', 'application/json', () => JSON.stringify(data, null, 1)));
}
