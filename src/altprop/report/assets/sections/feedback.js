// Feedback weights against forward weights, and the exact laws of how the two approach each other.

const alignmentOf = (name, pick) => inEntry('alignment', name, pick);
const predictedFactor = (entry) => number(entry.predicted_factor);
const measuredFactor = (entry) => number(entry.measured_factor);

/** One chart per layer; beyond the first few they wait in a fold. */
function perLayer(node, id, names, specify, charts = grid(node, 'small')) {
  const limit = 9;
  names.slice(0, limit).forEach((name) => figure(charts, `${id}:${name}`, () => specify(name)));
  if (names.length <= limit) return;
  const folded = h('div', {class: 'grid small'});
  node.append(
      h('details', {class: 'more', toggle: redraw}, h('summary', {}, `${names.length - limit} more layers`), folded));
  names.slice(limit).forEach((name) => figure(folded, `${id}:${name}`, () => specify(name)));
}

function feedback() {
  const names = namesIn('alignment', (entry) => angleOf(entry) !== null);
  if (!names.length) return;
  const norm = (entry) => number(entry.norm_ratio);
  const taking = groups.filter((group) => names.some((name) => curve(group, alignmentOf(name, angleOf)).length));
  const node = section(
      'feedback', 'Feedback weights',
      'Rules with feedback weights of their own: the angle between those and the forward weights they stand in for. ' +
          'Where it shrinks, the two become alike. With random feedback it stays near 90\u00b0 in large layers.');
  legend(
      node, taking, ...spreadSwitches(), ...lateSwitch(),
      ...(namesIn('alignment', (entry) => norm(entry) !== null).length ?
              [switchButton('Norm ratio instead of angle', 'norms')] :
              []));
  const look = () =>
      (state.norms ? {quantity: QUANTITY.ratio, unit: 'norm of feedback / norm of forward weights', pick: norm} :
                     {quantity: QUANTITY.angle, unit: 'degrees', pick: angleOf});
  const drawn = (lines) => lines.filter((line) => line.points.length);
  if (several) {
    perLayer(
        node, 'alignment', names,
        (name) => lineChart({...look(), title: name, lines: drawn(perRule(alignmentOf(name, look().pick)))}));
  } else {
    figure(
        grid(node, 'one'), 'alignment',
        () => lineChart({
          ...look(),
          title: 'By layer',
          lines: names.map((name, i) => ({
                             label: name,
                             color: `var(--c${i % 7})`,
                             dash: DASHES[i % DASHES.length],
                             marker: MARKERS[i % MARKERS.length],
                             points: curve(groups[0], alignmentOf(name, look().pick)),
                             singles: singleCurves(groups[0], alignmentOf(name, look().pick)),
                           })),
        }));
  }
  laws(node, drawn);
}

/** Every pair of a predicted and a measured factor of a rule. */
function factorPairs(group) {
  return group.runs.flatMap(
      (run) => run.epochs.flatMap(
          (epoch) => objects(run.at.get(epoch).alignment)
                         .map((entry) => ({
                                x: predictedFactor(entry),
                                y: measuredFactor(entry),
                                name: `${text(entry.name)}, epoch ${epoch}${repeated ? `, seed ${run.seed}` : ''}`,
                              }))
                         .filter((p) => p.x !== null && p.y !== null)));
}

function laws(node, drawn) {
  const lawful = namesIn('alignment', (entry) => predictedFactor(entry) !== null);
  if (!lawful.length) return;
  const follows = groups.filter(
      (group) => group.runs.some(
          (run) => [...run.at.values()].some(
              (record) => objects(record.alignment).some((entry) => predictedFactor(entry) !== null))));
  const checked = follows.map((group) => ({...group, points: factorPairs(group)})).filter((set) => set.points.length);
  const unchecked = follows.filter((group) => !checked.some((set) => set.label === group.label));
  node.append(
      h('h3', {id: 'laws'}, 'Predicted and measured alignment'),
      h('p', {class: 'about'},
        'These rules obey an exact law: the difference between feedback and forward weights, divided by ' +
            'that at the start, follows from the optimizer\'s settings alone. ' +
            'The prediction never looks at the weights; the measurement ' +
            'looks at nothing else. '),
      h('ul', {class: 'verdicts'}, checked.map((set) => h('li', {}, named(set), ': ', verdict(set.points))),
        unchecked.map(
            (group) =>
                h('li', {}, named(group),
                  ': predicted only. No measurement was recorded, as this form of the rule ' +
                      'computes its feedback from the law itself.'))));
  const charts = grid(node, 'small');
  if (checked.length)
    figure(charts, 'law', () => {
      const sets = checked.filter((set) => !several || visible().some((group) => group.label === set.label));
      return sets.length ? scatterChart({
        title: 'Measured against predicted',
        sets,
        format: QUANTITY.factor.format,
        key: several ? sets.map((set) => ({...set, line: false})) : [],
        note: 'All layers, epochs and seeds. On the dashed line the law holds.',
      }) :
                           null;
    });
  const key = [
    {label: 'predicted', color: 'var(--soft)', dash: '4 3'},
    ...(checked.length ? [{label: 'measured', color: 'var(--soft)', marker: 'circle', line: false}] : [])
  ];
  perLayer(
      node, 'factor', lawful, (name) => lineChart({
                                title: `${name}, over epochs`,
                                unit: 'factor',
                                quantity: QUANTITY.factor,
                                key,
                                lines: drawn(visible().flatMap(
                                    (group) =>
                                        [{
                                          ...group,
                                          label: `${group.label}, predicted`,
                                          marker: null,
                                          dash: '4 3',
                                          points: curve(group, alignmentOf(name, predictedFactor))
                                        },
                                         {
                                           ...group,
                                           label: `${group.label}, measured`,
                                           dots: true,
                                           points: curve(group, alignmentOf(name, measuredFactor))
                                         },
  ])),
                              }),
      charts);
}

/** The largest distance between prediction and measurement, in words. */
function verdict(points) {
  const off = Math.max(...points.map((p) => Math.abs(p.x - p.y)));
  const end = points[points.length - 1];
  return `prediction and measurement differ by at most ${off === 0 ? '0' : significant(off)} of the first difference (${
      plural(points.length, 'measurement')}); at the last one, predicted ${QUANTITY.factor.format(end.x)}, measured ${
      QUANTITY.factor.format(end.y)}.`;
}
