// One sample's spikes: a dot for each, over network time, layer above layer.

/** @param spec title, layers: [{label, color, points: [{x: time, unit}], units}] */
const rasterChart = (spec) => ({
  kind: 'raster',
  ...spec,
  draw: drawRaster,
  numbers: ({layers}) => ({
    columns: ['layer', 'unit', 'time'],
    rows: layers.flatMap(({label, points}) => points.map((p) => [label, String(p.unit), significant(p.x)])),
  }),
});

function drawRaster({layers, title}, width) {
  const side = Math.min(width, 420), left = 6, right = 6, gap = 20, bottom = 22, tall = 74;
  const height = layers.length * (tall + gap) + bottom;
  const times = layers.flatMap(({points}) => points.map((p) => p.x));
  const low = Math.min(...times), high = Math.max(...times);
  const X = (t) => left + ((t - low) / (high - low || 1)) * (side - left - right);
  const chart = drawing(
      side, height,
      `${title}: ${layers.map(({label, points, units}) => `${label}, ${points.length} of ${units} units fire`).join('; ')}.`);
  const spots = [];
  layers.forEach(({label, color, points, units}, l) => {
    const top = l * (tall + gap) + gap;
    chart.append(
        unitText(0, top - 6, `${label}: ${points.length} of ${units} shown units fire`),
        gridLine(left, top + tall, side - right, top + tall));
    points.forEach((p, i) => {
      const y = top + 3 + ((tall - 6) * p.row) / Math.max(1, units - 1);
      spots.push({label, p, x: X(p.x), y});
      chart.append(s('circle', {cx: X(p.x), cy: y, r: 1.6, fill: color, class: 'point', 'data-label': label}));
    });
  });
  chart.append(
      unitText(0, height - 5, `time ${significant(low)}`), unitText(side, height - 5, significant(high), 'end'));
  const distance = (spot, x, y) => Math.hypot(spot.x - x, spot.y - y);
  inspect(chart, {
    find: (x, y) => {
      const nearest = spots.reduce((a, b) => (distance(b, x, y) < distance(a, x, y) ? b : a));
      return distance(nearest, x, y) < 20 ? nearest : null;
    },
    next: (spot, dx, dy) => spots[shifted(spot && spots.indexOf(spot), dx || dy, spots.length)],
    show: ({label, p, x, y}) => ({
      title: `${label}, unit ${p.unit}`,
      x,
      y,
      rows: [{label: 'time', value: significant(p.x)}],
      marks: [s('circle', {cx: x, cy: y, r: 6, fill: 'none', stroke: 'var(--ink)', 'stroke-width': 1.5})],
    }),
  });
  return chart;
}
