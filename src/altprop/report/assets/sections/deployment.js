// Networks of neuromorphic cores: how decided their synapses are over training, and what ensembles of
// drawn networks reach by members and by energy.

const SYNAPSES = [
  {
    key: 'distance',
    title: 'Distance from drawn networks',
    unit: 'mean distance of connections from 0 and 1',
    quantity: {floor: 0, ceiling: 0.5, format: significant},
    pick: (entry) => number(entry.distance),
  },
  {
    key: 'half-way',
    title: 'Undecided synapses',
    unit: 'share of connections between 0.1 and 0.9',
    quantity: percentTick,
    pick: (entry) => number(entry.half_way),
  },
];

/** S. Esser et al. 2015 (NIPS): microjoules for an image of MNIST, and accuracy. */
const PUBLISHED = {
  label: 'published (Esser et al. 2015)',
  color: 'var(--ink)',
  marker: 'diamond',
  dots: true,
  points: [{x: 0.408, mean: 0.927}, {x: 121, mean: 0.9942}],
};

/** Accuracy over what `right` reads from the ensembles of one size: members, or microjoules. */
const ensembleLines = (runs, right) => runs.map((run, i) => ({
                                                  label: runs.length > 1 ? `drawn, seed ${run.seed}` : 'drawn networks',
                                                  color: `var(--c${i % 7})`,
                                                  dash: DASHES[i % DASHES.length],
                                                  marker: MARKERS[i % MARKERS.length],
                                                  points: objects(run.deployment.ensembles)
                                                              .map((one) => ({
                                                                     x: right(one),
                                                                     mean: number(one.accuracy),
                                                                     deviation: number(one.deviation),
                                                                     low: number(one.least),
                                                                     high: number(one.most),
                                                                     n: number(one.draws) ?? 1,
                                                                   }))
                                                              .filter((point) => point.x > 0 && known(point.mean))
                                                              .sort((a, b) => a.x - b.x),
                                                }))
                                       .filter((line) => line.points.length);

/** "The trained network itself has 98.50 %. ..." */
function deploymentNote(runs) {
  if (runs.length > 1) return '';
  const found = runs[0].deployment, accuracy = number(found.network_accuracy);
  const rest = number(found.limit?.rest), spread = number(found.limit?.spread);
  return [
    known(accuracy) && `The trained network itself has ${QUANTITY.accuracy.format(accuracy)}.`,
    known(rest) && known(spread) &&
        `A member's class sums are sqrt(a${SQUARED} + b${SQUARED} / members) from the network's, root mean square, ` +
            `with a = ${significant(rest)} and b = ${significant(spread)}: a is what no number of members takes away.`,
  ].filter(Boolean).join(' ');
}

function deployment() {
  const names = namesIn('connections');
  const deployed = (group) => group.counted.filter((run) => isObject(run.deployment));
  if (!names.length && !groups.some((group) => deployed(group).length)) return;
  const node = section(
      'deployment', 'Cores',
      'Synapses are probabilities in training, and are drawn once for a network that cores can run. What several ' +
          'drawn networks reach that vote, over their number and over an estimate of the energy.');
  for (const group of groups) {
    const lines = (pick) => linesOf(group, names, (name) => inEntry('connections', name, pick));
    const runs = deployed(group);
    if (!runs.length && !SYNAPSES.some((look) => lines(look.pick).length)) continue;
    if (several) node.append(h('h3', {}, named(group)));
    const charts = grid(node, 'small');
    const ensembles = (id, right, others, look) => figure(charts, `${id}:${group.label}`, () => {
      const drawn = ensembleLines(runs, right), all = [...drawn, ...others];
      const quantity = {...QUANTITY.accuracy, clipStart: false};
      return drawn.length ?
          lineChart({...look, unit: '% right', quantity, xLog: true, each: 'draw', key: all, lines: all}) :
          null;
    });
    if (runs.length) {
      ensembles(
          'ensembles', (one) => number(one.members), [],
          {title: 'Accuracy over members', xName: 'members', note: deploymentNote(runs)});
      ensembles(
          'energy',
          (one) => known(number(one.energy_estimate)) ? Number((1e6 * one.energy_estimate).toPrecision(3)) : null,
          common('data') === 'mnist' ? [PUBLISHED] : [],
          {title: 'Accuracy over energy', xName: 'microjoules an image (estimate)'});
    }
    for (const {key, pick, ...look} of SYNAPSES)
      figure(
          charts, `connections-${key}:${group.label}`,
          () => lineChart({...look, key: lines(pick), lines: lines(pick)}));
  }
}
