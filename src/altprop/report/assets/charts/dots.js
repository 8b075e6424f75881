// Every seed of every rule as a dot on one axis, best rule first: whether rules differ by more than
// their seeds do is seen at a glance.

/**
 * @param spec title, unit, quantity (see axisFor), rows: [{label, color, marker, value: statistics,
 *   singles: [{seed, value}], remark}]
 */
const dotChart = (spec) => ({
  kind: 'dots',
  ...spec,
  draw: drawDots,
  numbers: ({rows, quantity}) => ({
    columns: ['rule', 'mean', 'standard deviation', 'single runs'],
    rows: rows.map(
        ({label, value, singles}) =>
            [label,
             quantity.format(value.mean),
             known(value.deviation) && quantity.format(value.deviation, value.mean),
             singles.map((one) => quantity.format(one.value)).join(', '),
]),
  }),
});

function drawDots(spec, width) {
  const {rows, quantity} = spec;
  const stacked = width < 560, right = 14;
  const left = stacked ? 8 : Math.min(0.42 * width, 18 + Math.max(...rows.map((row) => textWidth(row.label))));
  const tall = stacked ? 42 : 28, top = 24, foot = top + tall * rows.length;
  const ends = ({mean, deviation}) => [mean - (deviation || 0), mean + (deviation || 0)];
  const clamp = (v) => Math.max(quantity.floor ?? -Infinity, Math.min(quantity.ceiling ?? Infinity, v));
  const axis = axisFor(
      rows.flatMap((row) => [...row.singles.map((one) => one.value), ...ends(row.value)].map(clamp)), quantity,
      Math.min(7, width / 90), rows.flatMap((row) => row.singles.map((one) => one.value)));
  const xOf = (scaled) => left + ((scaled - axis.low) / (axis.high - axis.low)) * (width - left - right);
  const X = (v) => Math.max(left - 6, Math.min(width - right + 6, xOf(axis.scale(v))));
  const Y = (index) => top + index * tall + (stacked ? 28 : tall / 2);
  const chart = drawing(
      width, foot + 24,
      `${spec.title}, ${spec.unit}: ${
          rows.map((row) => `${row.label} ${quantity.format(row.value.mean)}`).join(', ')}.`);
  chart.append(unitText(0, 12, spec.unit + (axis.log ? ' (log scale)' : '')));
  for (const [at, label] of axis.marks)
    chart.append(
        gridLine(xOf(at), top, xOf(at), foot),
        s('text', {x: Math.min(xOf(at), width - textWidth(label) / 2), y: foot + 16, 'text-anchor': 'middle'}, label));
  rows.forEach((row, index) => {
    const y = Y(index), [low, high] = ends(row.value).map(clamp);
    chart.append(
        s('text', {
          class: 'value',
          x: stacked ? 0 : left - 16,
          y: stacked ? y - 13 : y + 4,
          'text-anchor': stacked ? 'start' : 'end',
        },
          fit(row.label, stacked ? width : left - 18)));
    if (high > low)
      chart.append(s('line', {
        x1: X(low),
        x2: X(high),
        y1: y,
        y2: y,
        stroke: row.color,
        'stroke-width': 7,
        opacity: 0.22,
        'stroke-linecap': 'round',
      }));
    chart.append(s('line', {
      x1: X(row.value.mean),
      x2: X(row.value.mean),
      y1: y - 8,
      y2: y + 8,
      stroke: row.color,
      'stroke-width': 2.4,
    }));
    for (const one of row.singles)
      chart.append(markerAt(row.marker, X(one.value), y, row.color, {class: 'single', 'data-label': row.label}));
  });
  inspect(chart, {
    find: (_, y) => {
      const index = Math.floor((y - top) / tall);
      return index >= 0 && index < rows.length ? index : null;
    },
    next: (spot, _, dy) => shifted(spot, dy, rows.length),
    show: (index) => {
      const row = rows[index], {mean, deviation, n} = row.value;
      const spread = n > 1 ? ` ${PLUS_MINUS} ${quantity.format(deviation, mean)}` : '';
      return {
        title: row.label,
        x: X(mean),
        y: Y(index),
        rows: [
          {...row, label: n > 1 ? `mean of ${n} seeds` : 'one seed', value: quantity.format(mean) + spread},
          ...row.singles.map(
              (one) => ({...row, label: one.seed ? `seed ${one.seed}` : 'run', value: quantity.format(one.value)}))
        ],
      };
    },
  });
  return chart;
}
