// Measured against predicted: where a law holds, every point lies on the diagonal.

/** @param spec title, sets: [{label, color, marker, points: [{x: predicted, y: measured, name}]}] */
const scatterChart = (spec) => ({
  kind: 'scatter',
  ...spec,
  draw: drawScatter,
  numbers: ({sets, format}) => ({
    columns: ['rule', 'where', 'predicted', 'measured'],
    rows: sets.flatMap(({label, points}) => points.map((p) => [label, p.name, format(p.x), format(p.y)])),
  }),
});

function drawScatter(spec, width) {
  const {sets, format} = spec;
  const side = Math.min(width, 330), left = 52, right = 12, top = 26, bottom = 36, height = side - 40;
  const all = sets.flatMap((set) => set.points.flatMap((p) => [p.x, p.y]));
  const axis = axisFor(all, QUANTITY.factor);
  const at = (scaled, from, to) => from + ((scaled - axis.low) / (axis.high - axis.low)) * (to - from);
  const clamp = (v) => Math.max(axis.low, axis.scale(v));
  const X = (v) => at(clamp(v), left, side - right), Y = (v) => at(clamp(v), height - bottom, top);
  const chart = drawing(
      side, height,
      `${spec.title}: ${sets.map((set) => `${set.label}, ${plural(set.points.length, 'point')}`).join('; ')}. ${
          spec.finding || ''}`);
  chart.append(
      unitText(0, 12, 'measured factor' + (axis.log ? ' (log scales)' : '')),
      unitText(side - right, height - 4, 'predicted factor', 'end'));
  for (const [scaled, label] of axis.marks) {
    const x = at(scaled, left, side - right), y = at(scaled, height - bottom, top);
    chart.append(
        gridLine(x, top, x, height - bottom), gridLine(left, y, side - right, y),
        s('text', {x, y: height - bottom + 17, 'text-anchor': 'middle'}, label),
        s('text', {x: left - 7, y: y + 4, 'text-anchor': 'end'}, label));
  }
  chart.append(s('line', {
    x1: left,
    y1: height - bottom,
    x2: side - right,
    y2: top,
    stroke: 'var(--faint)',
    'stroke-dasharray': '4 3',
  }));
  const spots = sets.flatMap((set) => set.points.map((p) => ({set, p})));
  for (const {set, p} of spots)
    chart.append(markerAt(
        set.marker, X(p.x), Y(p.y), set.color, {class: 'point', 'data-label': set.label, 'fill-opacity': 0.4}));
  const distance = ({p}, x, y) => Math.hypot(X(p.x) - x, Y(p.y) - y);
  inspect(chart, {
    find: (x, y) => {
      const nearest = spots.reduce((a, b) => (distance(b, x, y) < distance(a, x, y) ? b : a));
      return distance(nearest, x, y) < 30 ? nearest : null;
    },
    next: (spot, dx, dy) => spots[shifted(spot && spots.indexOf(spot), dx || dy, spots.length)],
    show: ({set, p}) => ({
      title: `${set.label}, ${p.name}`,
      x: X(p.x),
      y: Y(p.y),
      rows: [{label: 'predicted', value: format(p.x)}, {label: 'measured', value: format(p.y)}],
      marks: [s('circle', {cx: X(p.x), cy: Y(p.y), r: 7, fill: 'none', stroke: 'var(--ink)', 'stroke-width': 1.5})],
    }),
  });
  return chart;
}
