// Angle and magnitude of the updates against backprop's gradient: over epochs, by layer, by both.

/** Mean over seeds of a rule's value for one parameter at one epoch. */
function atEpoch(group, name, epoch, pick) {
  const read = inEntry('gradient', name, pick);
  return statistics(group.runs.map((run) => read(run.at.get(epoch))))?.mean ?? null;
}
/** The same at the end of training. */
function layerAtEnd(group, name, pick) {
  const read = inEntry('gradient', name, pick);
  return statistics(group.counted.map((run) => final(run, read)))?.mean ?? null;
}
const short = (name) => (weightNames.length && !state.biases ? name.replace(/\.weight$/, '') : name);
const shownNames = () => (state.biases ? parameterNames : weightNames);

/** Rules with such values; backprop's own are all the same and only shown alone. */
const withValues = (pick) => groups.filter(
    (group) => (!group.exact || !several) &&
        group.runs.some((run) => [...run.at.values()].some((record) => anyEntry(record, pick))));
const anyEntry = (record, pick) => objects(record?.gradient).some((entry) => known(pick(entry)));

function gradientSection({id, title, about, pick, unit, quantity, bar, ...look}) {
  const shown = withValues(pick);
  if (!shown.length) return;
  const node = section(id, title, about);
  const mean = (record) => meanOverWeights(record, pick);
  const biases = weightNames.length < parameterNames.length ? [switchButton('Biases in the maps', 'biases')] : [];
  if (shown.some((group) => curve(group, mean).length > 1)) {
    legend(node, groups.filter((group) => curve(group, mean).length), ...spreadSwitches(), ...biases);
    figure(
        grid(node, 'one'), `${id}-mean`,
        () => lineChart({title: 'Mean over the weights', unit, quantity, lines: perRule(mean)}));
  } else {
    legend(node, [], ...biases);
  }
  node.append(bar);
  if (several)
    figure(grid(node, 'one'), `${id}-end`, () => heatMap({
                                             ...look,
                                             title: 'By layer, at the end of training',
                                             rows: shown.map((group) => group.label),
                                             columns: shownNames().map(short),
                                             value: (r, c) => layerAtEnd(shown[r], shownNames()[c], pick),
                                             rowName: 'rule',
                                             columnName: 'layer',
                                             fitColumns: true,
                                             widest: 0.34,
                                           }));
  const maps = grid(node, several ? 'small' : 'one');
  for (const group of shown) {
    const columns =
        thin(group.epochs.filter((epoch) => group.runs.some((run) => anyEntry(run.at.get(epoch), pick))), 40);
    if (columns.length > 1 || !several)
      figure(maps, `${id}-map:${group.label}`, () => heatMap({
                                                 ...look,
                                                 group,
                                                 title: several ? group.label : 'By layer and epoch',
                                                 rows: shownNames().map(short),
                                                 columns: columns.map(text),
                                                 value: (r, c) => atEpoch(group, shownNames()[r], columns[c], pick),
                                                 rowName: 'layer',
                                                 columnName: 'epoch',
                                               }));
  }
}

function angles() {
  gradientSection({
    id: 'angles',
    title: 'Angle to backprop',
    pick: angleOf,
    paint: paintAngle,
    about:
        'How far each rule\'s update points away from the exact gradient, measured on a probe batch after an epoch. ' +
        'Layers run from the input to the output; the last one gets the exact gradient under most rules.',
    unit: 'degrees',
    quantity: QUANTITY.angle,
    format: (v) => fixed(1)(v) + DEGREE,
    short: (v) => [fixed(0)(v) + DEGREE, fixed(0)(v)],
    hole: 'no angle: not recorded, or no update',
    bar: scaleBar('cool', 'warm', `0${DEGREE} same direction`, `90${DEGREE} unrelated`, `150${DEGREE} and more`),
  });
}

function ratios() {
  gradientSection({
    id: 'ratios',
    title: 'Magnitude ratio',
    pick: ratioOf,
    paint: paintRatio,
    about: 'How long each rule\'s update is, divided by the exact gradient: above 1 it steps further than backprop ' +
        'would with the same learning rate, below 1 less far.',
    unit: 'update / gradient',
    quantity: QUANTITY.ratio,
    format: significant,
    short: (v) => [fixed(2)(v), fixed(v < 9.95 ? 1 : 0)(v)],
    bar: scaleBar('less', 'more', '\u215b and less', '1, as backprop', '8 and more'),
  });
}
