// The density that a flow of the plane has learnt, with some of the samples that it learnt from.

const isGrid = (map) => isObject(map) && Array.isArray(map.density) && map.density.length > 0 &&
    map.density.every((row) => Array.isArray(row) && row.length === map.density[0].length && row.length > 0) &&
    [map.from, map.to].every((corner) => Array.isArray(corner) && corner.length === 2 && corner.every((v) => known(number(v))));

/** Cells of a grid from the lowest row up: the darker, the denser. */
const densityMap = (spec) => ({
  kind: 'density',
  ...spec,
  draw: drawDensity,
  numbers: ({map}) => ({
    columns: ['x', 'y', 'density'],
    rows: map.density.flatMap((row, r) => row.map((value, c) => [
                                                    significant(middle(map, 0, c, row.length)),
                                                    significant(middle(map, 1, r, map.density.length)),
                                                    known(number(value)) && significant(value),
                                                  ])),
  }),
});
const middle = (map, axis, i, n) => map.from[axis] + ((map.to[axis] - map.from[axis]) * (i + 0.5)) / n;

function drawDensity({map, title}, width) {
  const side = Math.min(width, 420), bottom = 18, rows = map.density.length, columns = map.density[0].length;
  const densest = Math.max(...map.density.flat().map((value) => number(value) ?? 0), 1e-300);
  const chart = drawing(
      side, side + bottom,
      `${title}: density of the flow between ${significant(map.from[0])}, ${significant(map.from[1])} and ${
          significant(map.to[0])}, ${significant(map.to[1])}, at most ${significant(densest)}.`);
  const wide = side / columns, tall = side / rows, cells = s('g', {'shape-rendering': 'crispEdges'});
  map.density.forEach((row, r) => row.forEach((value, c) => {
    const share = Math.sqrt(Math.max(0, number(value) ?? 0) / densest);
    if (share > 0.02)
      cells.append(s('rect', {
        x: c * wide,
        y: side - (r + 1) * tall,
        width: wide,
        height: tall,
        fill: `color-mix(in oklab, var(--cool) ${Math.round(100 * share)}%, var(--middle))`,
      }));
  }));
  chart.append(s('rect', {width: side, height: side, fill: 'var(--middle)'}), cells);
  for (const point of Array.isArray(map.samples) ? map.samples : []) {
    if (!Array.isArray(point) || point.length !== 2 || !point.every((value) => known(number(value)))) continue;
    const at = (axis) => (point[axis] - map.from[axis]) / (map.to[axis] - map.from[axis]);
    chart.append(s('circle', {cx: side * at(0), cy: side * (1 - at(1)), r: 1.1, fill: 'var(--ink)', 'fill-opacity': 0.6}));
  }
  chart.append(
      unitText(0, side + bottom - 4, `${significant(map.from[0])} to ${significant(map.to[0])}`),
      unitText(side, side + bottom - 4, `${significant(map.from[1])} to ${significant(map.to[1])} upwards`, 'end'));
  inspect(chart, {
    find: (x, y) => {
      const c = Math.floor(x / wide), r = Math.floor((side - y) / tall);
      return r >= 0 && r < rows && c >= 0 && c < columns ? [r, c] : null;
    },
    next: (spot, dx, dy) => (spot ? [shifted(spot[0], -dy, rows), shifted(spot[1], dx, columns)] : [0, 0]),
    show: ([r, c]) => ({
      title: `${significant(middle(map, 0, c, columns))}, ${significant(middle(map, 1, r, rows))}`,
      x: (c + 1) * wide,
      y: side - (r + 1) * tall,
      rows: [{
        label: 'density',
        value: known(number(map.density[r][c])) ? significant(map.density[r][c]) : 'not recorded',
      }],
      marks: [s('rect', {
        x: c * wide,
        y: side - (r + 1) * tall,
        width: wide,
        height: tall,
        fill: 'none',
        stroke: 'var(--ink)',
        'stroke-width': 1.5,
      })],
    }),
  });
  return chart;
}

function density() {
  const shown = groups
                    .map((group) => ({group, map: group.counted.map((run) => run.summary.density).find(isGrid)}))
                    .filter(({map}) => map);
  if (!shown.length) return;
  const node = section(
      'density', 'Density',
      'What the flow has learnt of the plane, of the first seed: the square root of its density as colour, and some ' +
          'of the samples that it learnt from as dots.');
  const maps = grid(node, 'small');
  for (const {group, map} of shown)
    figure(maps, `density:${group.label}`, () => densityMap({
                                             group,
                                             map,
                                             title: several ? group.label : 'Density and samples',
                                             note: known(number(map.integral)) ?
                                                 `The map holds ${significant(100 * map.integral)}${THIN}% of the probability.` :
                                                 '',
                                           }));
}
