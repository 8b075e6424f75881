// A table with a row per rule that sorts by any column and marks the best of each.

/**
 * @param columns [{title, unit, of(group): statistics or null, format, better(mean): less is better,
 *   compete(group), of which runs: total(group)}]
 * @param status(group) the last column
 */
function rulesTable(columns, status) {
  for (const column of columns) {
    column.cells = new Map(groups.map((group) => [group, column.of(group)]));
    const rivals = groups.filter((group) => column.cells.get(group) && column.compete(group));
    const score = (group) => column.better(column.cells.get(group).mean);
    const least = Math.min(...rivals.map(score));
    column.best = new Set(rivals.length > 1 ? rivals.filter((group) => score(group) === least) : []);
  }
  const cell = (column, group) => {
    const value = column.cells.get(group);
    if (!value) return h('td', {}, DASH, repeated && h('span', {class: 'spread'}));
    const spread = known(value.deviation) ? `${PLUS_MINUS}${THIN}${column.format(value.deviation, value.mean)}` : '';
    const partial = value.n < group.runs.length && `of ${value.n} of ${plural(group.runs.length, 'run')}`;
    return h(
        'td', {class: column.best.has(group) && 'best', title: partial || null}, column.format(value.mean),
        partial && h('span', {class: 'star'}, '*'), repeated && h('span', {class: 'spread'}, spread));
  };
  const rows = new Map(groups.map((group) => {
    const {words, problem} = status(group);
    return [
      group,
      h('tr', {}, h('th', {scope: 'row'}, h('div', {class: 'rule'}, several && swatch(group), breakable(group.label))),
        columns.map((column) => cell(column, group)), h('td', {class: problem && 'problem'}, words))
    ];
  }));
  const body = h('tbody', {}, [...rows.values()]);
  const heads = [];
  const heading = (title, unit, key) => {
    const sort = () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const order = [...groups].sort((a, b) => {
        const x = key(a), y = key(b);
        if (!known(x) || !known(y)) return known(y) - known(x);  // unknown values stay at the end
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      });
      body.replaceChildren(...order.map((group) => rows.get(group)));
    };
    const head =
        h('th', {scope: 'col'}, several ? h('button', {type: 'button', click: sort}, title) : title,
          unit && h('small', {}, unit));
    heads.push(head);
    return head;
  };
  const head =
      h('tr', {}, heading('Rule', '', (group) => group.label),
        columns.map((column) => heading(column.title, column.unit, (group) => column.cells.get(group)?.mean)),
        heading('Status', '', (group) => status(group).words));
  return h(
      'div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Results by rule'},
      h('table', {class: 'results'}, h('thead', {}, head), body));
}
