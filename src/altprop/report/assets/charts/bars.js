// Horizontal bars from zero, one per rule, with the range over seeds.

/** @param spec title, unit, bars: [{label, color, value: statistics}], reference, format, tick */
const barChart = (spec) => ({
  kind: 'bars',
  ...spec,
  draw: drawBars,
  numbers: ({bars, format, unit}) => ({
    columns: ['rule', `mean, ${unit}`, 'lowest', 'highest', 'runs'],
    rows:
        bars.map(({label, value}) => [label, format(value.mean), format(value.low), format(value.high), text(value.n)]),
  }),
});

function drawBars(spec, width) {
  const {bars, format} = spec;
  const stacked = width < 440;
  const room = 14 + Math.max(...bars.map((bar) => textWidth(format(bar.value.mean))));
  const left = stacked ? 0 : Math.min(0.42 * width, 12 + Math.max(...bars.map((bar) => textWidth(bar.label))));
  const tall = stacked ? 38 : 26, top = 22, foot = top + tall * bars.length;
  const high = Math.max(...bars.map((bar) => bar.value.high), spec.reference || 0) || 1;
  const X = (v) => left + (v / high) * (width - left - room);
  const chart = drawing(
      width, foot + 22,
      `${spec.title}, ${spec.unit}: ${bars.map((bar) => `${bar.label} ${format(bar.value.mean)}`).join(', ')}.`);
  chart.append(unitText(0, 12, spec.unit));
  const marks = ticks(0, high, Math.min(4, width / 110));
  for (const v of marks)
    chart.append(
        gridLine(X(v), top, X(v), foot),
        s('text', {x: X(v), y: foot + 15, 'text-anchor': v === 0 ? 'start' : 'middle'},
          plainTick(v, marks.length > 1 ? marks[1] : 1) + (spec.suffix || '')));
  const Y = (index) => top + index * tall + (stacked ? 17 : 5);
  const place = (index) => ({stacked, left, width, X, y: Y(index), format});
  bars.forEach((bar, index) => drawBar(chart, place(index), bar));
  if (spec.reference)
    chart.append(s('line', {
      x1: X(spec.reference),
      x2: X(spec.reference),
      y1: top - 3,
      y2: foot,
      stroke: 'var(--ink)',
      'stroke-dasharray': '3 3',
    }));
  bars.forEach((bar, index) => nameBar(chart, place(index), bar));
  inspect(chart, {
    find: (_, y) => {
      const index = Math.floor((y - top) / tall);
      return index >= 0 && index < bars.length ? index : null;
    },
    next: (spot, _, dy) => shifted(spot, dy, bars.length),
    show: (index) => {
      const {label, color, value, details} = bars[index];
      const rows = [{label: value.n > 1 ? `mean of ${value.n} runs` : 'one run', value: format(value.mean), color}];
      if (value.n > 1)
        rows.push({label: 'lowest to highest', value: `${format(value.low)} to ${format(value.high)}`, color});
      return {title: label, rows: [...rows, ...(details || [])], x: X(value.mean), y: Y(index), marks: []};
    },
  });
  return chart;
}

function drawBar(chart, {left, X, y}, {label, color, value}) {
  const end = X(value.mean), middle = y + 8;
  chart.append(s('rect', {
    class: 'bar-mark',
    'data-label': label,
    x: left,
    y,
    width: Math.max(1, end - left),
    height: 16,
    rx: 2,
    fill: color,
    opacity: 0.85,
  }));
  if (X(value.high) - X(value.low) > 2)
    chart.append(s('path', {
      d: `M${X(value.low)} ${middle}H${X(value.high)}M${X(value.low)} ${middle - 4}v8M${X(value.high)} ${middle - 4}v8`,
      stroke: 'var(--ink)',
      'stroke-width': 1.2,
      fill: 'none',
    }));
}

function nameBar(chart, {stacked, left, width, X, y, format}, {label, value}) {
  chart.append(
      s('text', {
        class: 'value halo',
        x: stacked ? 0 : left - 10,
        y: stacked ? y - 4 : y + 12,
        'text-anchor': stacked ? 'start' : 'end',
      },
        fit(label, stacked ? width : left - 12)),
      s('text', {class: 'value halo', x: X(value.high) + 6, y: y + 12}, format(value.mean)));
}
