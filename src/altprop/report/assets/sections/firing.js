// Networks of spike times: which units fire, when the answer is there, and one sample's spikes.

const percentTick = {floor: 0, ceiling: 1, format: (v) => `${fixed(1)(100 * v)}${THIN}%`};
const FIRING = [
  {
    key: 'silent',
    title: 'Silent units',
    unit: 'share of units, over samples',
    quantity: percentTick,
    pick: (entry) => number(entry.silent),
  },
  {
    key: 'spikes',
    title: 'Spikes',
    unit: 'units that fire, per sample',
    quantity: {floor: 0, format: significant},
    pick: (entry) => number(entry.spikes),
  },
  {
    key: 'events',
    title: 'Synaptic operations',
    unit: 'spikes that reach a unit, per sample',
    quantity: {floor: 0, format: significant},
    pick: (entry) => number(entry.events),
  },
  {key: 'median', title: 'When they fire', unit: 'median time', quantity: {format: significant}, pick: (entry) => number(entry.median_time)},
];

const numbersOf = (list) => (Array.isArray(list) ? list.map(number) : []);
const isAnytime = (record) => isObject(record?.anytime) && numbersOf(record.anytime.time).length > 0;
/** What the last probe of every run saw. */
const lastAnytimes = (group) =>
    group.counted.map((run) => final(run, (record) => (isAnytime(record) ? record.anytime : null))).filter(known);

/** Accuracy over network time: one line per run, since each has times of its own. */
function anytimeLines(anytimes) {
  return anytimes.map((one, i) => ({
                        label: `run ${i + 1}`,
                        color: `var(--c${i % 7})`,
                        dash: DASHES[i % DASHES.length],
                        marker: MARKERS[i % MARKERS.length],
                        points: numbersOf(one.time)
                                    .map((x, k) => ({x, mean: numbersOf(one.accuracy)[k]}))
                                    .filter((point) => known(point.x) && known(point.mean)),
                      }));
}

/** Layers of one sample's spikes, as the last probe of a run saw them. */
function rasterLayers(group) {
  const found = group.counted.map((run) => final(run, (record) => (objects(record?.raster).length ? objects(record.raster) : null)));
  return (found.find(known) || [])
      .map((layer, i) => ({
             label: text(layer.name),
             color: `var(--c${i % 7})`,
             units: numbersOf(layer.units).length,
             points: numbersOf(layer.times)
                         .map((x, row) => ({x, row, unit: numbersOf(layer.units)[row]}))
                         .filter((point) => known(point.x)),
           }))
      .filter((layer) => layer.label && layer.units);
}

function firing() {
  const names = namesIn('firing');
  if (!names.length) return;
  const node = section(
      'firing', 'Spikes',
      'Units that fire at most once, on the probe batch: how many never do, how many spikes a sample makes, and when. A ' +
          'unit that is silent for every sample learns nothing but what the remedy for silent units teaches it.');
  for (const group of groups) {
    const lines = (pick) => linesOf(group, names, (name) => inEntry('firing', name, pick));
    if (!FIRING.some((look) => lines(look.pick).length)) continue;
    if (several) node.append(h('h3', {}, named(group)));
    const charts = grid(node, 'small');
    for (const {key, pick, ...look} of FIRING)
      figure(charts, `firing-${key}:${group.label}`, () => lineChart({...look, key: lines(pick), lines: lines(pick)}));
    const anytimes = lastAnytimes(group);
    if (anytimes.length)
      figure(charts, `anytime:${group.label}`, () => lineChart({
                                                 title: 'Decided, and rightly',
                                                 unit: 'share of samples',
                                                 quantity: percentTick,
                                                 xName: 'network time',
                                                 key: anytimeLines(anytimes),
                                                 lines: anytimeLines(anytimes),
                                               }));
    if (rasterLayers(group).some((layer) => layer.points.length))
      figure(
          charts, `raster:${group.label}`,
          () => rasterChart({title: 'Spikes of one sample', layers: rasterLayers(group)}));
  }
}
