// Maps of one value by two things, say layer and epoch. Colours run from one hue over the neutral
// middle to another; cells with room say their value.

const mix = (hue, share) => ({
  fill: `color-mix(in oklab, var(--${hue}) ${Math.round(100 * share)}%, var(--middle))`,
  strong: share > 0.68,
});
const paintAngle = (angle) => (angle <= 90 ? mix('cool', 1 - angle / 90) : mix('warm', Math.min(1, (angle - 90) / 60)));
function paintRatio(ratio) {
  const share = ratio > 0 ? Math.max(-1, Math.min(1, Math.log2(ratio) / 3)) : -1;
  return mix(share > 0 ? 'more' : 'less', Math.abs(share));
}
/** What the colours of the maps below mean. */
const scaleBar = (left, right, ...labels) =>
    h('div', {class: 'scale'},
      h('i', {style: `background: linear-gradient(in oklab to right, var(--${left}), var(--middle), var(--${right}))`}),
      labels.map((label) => h('span', {}, label)));

/**
 * @param spec title, rows and columns (texts), value(row index, column index), paint, format, short
 *   (a cell's label, longest first), rowName, columnName, widest (share of row labels)
 */
const heatMap = (spec) => ({
  kind: 'map',
  widest: 0.4,
  ...spec,
  draw: drawMap,
  numbers: ({rows, columns, value, format, rowName}) => ({
    columns: [rowName, ...columns],
    rows: rows.map((row, r) => [row, ...columns.map((_, c) => known(value(r, c)) && format(value(r, c)))]),
  }),
});

function drawMap(spec, width) {
  const {rows, columns} = spec;
  const size = Math.min(spec.widest * width, 14 + Math.max(...rows.map((row) => textWidth(row) + 2)));
  const top = 20, bottom = 22;
  const cell = Math.max(3, Math.min(96, (width - size) / columns.length));
  const tall = Math.max(10, Math.min(26, 480 / rows.length));
  const gap = Math.min(cell, tall) > 8 ? 1.5 : 0;
  const full = Math.max(width, size + cell * columns.length), height = top + tall * rows.length + bottom;
  const values = rows.map((_, r) => columns.map((_, c) => spec.value(r, c)));
  const flat = values.flat().filter(known);
  const chart = drawing(
      full, height,
      `${spec.title}: ${spec.rowName} by ${spec.columnName}, ${
          flat.length ? `between ${spec.format(Math.min(...flat))} and ${spec.format(Math.max(...flat))}` :
                        'nothing recorded'}.`);
  chart.append(
      unitText(0, 12, spec.rowName),
      unitText(Math.min(full, size + cell * columns.length), 12, spec.columnName, 'end'));
  const X = (c) => size + c * cell, Y = (r) => top + r * tall;
  const cells = s('g');
  chart.append(cells);
  const everyRow = Math.ceil(13 / tall);
  rows.forEach((row, r) => {
    if (r % everyRow === 0)
      chart.append(
          s('text', {class: 'value', x: size - 9, y: Y(r) + tall / 2 + 4, 'text-anchor': 'end'}, fit(row, size - 10)));
    columns.forEach((_, c) => drawCell(cells, values[r][c], X(c), Y(r), cell - gap, tall - gap, spec));
  });
  const every = Math.ceil((Math.max(...columns.map((column) => textWidth(column))) + 8) / cell);
  const shortened = every > 1 && spec.fitColumns && cell > 24;
  columns.forEach((column, c) => {
    const label = shortened ? fit(column, cell - 3) : column;
    if (shortened || c % every === 0)
      chart.append(
          s('text', {
            x: Math.min(X(c + 0.5), full - textWidth(label) / 2),
            y: height - 8,
            'text-anchor': 'middle',
          },
            label));
  });
  inspect(chart, {
    find: (x, y) => {
      const r = Math.floor((y - top) / tall), c = Math.floor((x - size) / cell);
      return r >= 0 && r < rows.length && c >= 0 && c < columns.length ? [r, c] : null;
    },
    next: (spot, dx, dy) => (spot ? [shifted(spot[0], dy, rows.length), shifted(spot[1], dx, columns.length)] : [0, 0]),
    show: ([r, c]) => ({
      title: `${rows[r]}, ${spec.columnName} ${columns[c]}`,
      x: X(c + 1),
      y: Y(r),
      rows: [{label: known(values[r][c]) ? spec.format(values[r][c]) : spec.hole || 'not recorded', value: ''}],
      marks: [s('rect', {
        x: X(c),
        y: Y(r),
        width: cell - gap,
        height: tall - gap,
        fill: 'none',
        stroke: 'var(--ink)',
        'stroke-width': 1.5,
      })],
    }),
  });
  return chart;
}

function drawCell(parent, value, x, y, width, height, spec) {
  const {fill, strong} = known(value) ? spec.paint(value) : {fill: 'none'};
  parent.append(s('rect', {
    class: known(value) ? 'cell' : 'hole',
    x,
    y,
    width,
    height,
    fill,
    stroke: known(value) ? null : 'var(--grid)',
  }));
  const label = known(value) && height >= 12 && spec.short(value).find((one) => textWidth(one) <= width - 3);
  if (label)
    parent.append(
        s('text', {
          x: x + width / 2,
          y: y + height / 2 + 4,
          'text-anchor': 'middle',
          style: `fill: ${strong ? 'var(--on-strong)' : 'var(--ink)'}`,
        },
          label));
}
