// The table of outcomes, and every seed as a dot.

const less = (a) => a;

/** Accuracy, loss and the learners' own scores on a part of the data. */
function scoreColumns(part, compete) {
  const column = (name, words) => ({
    title: `${capital(part)} ${spelt(name)}`,
    of: (group) => outcome(group, `${part}_${name}`),
    format: significant,
    better: less,
    compete,
    key: `${part}_${name}`,
    ...words
  });
  return [
    column('accuracy', {unit: '%', format: percent, better: (a) => -a}), column('loss', {}),
    ...ownScores.map(({name, more_is_better: more}) => column(name, {better: more ? (a) => -a : less}))
  ];
}

function resultColumns() {
  const anyone = (group) => !group.cut, others = (group) => !group.cut && !group.exact;
  const columns = [
    ...scoreColumns('test', anyone), ...scoreColumns('validation', anyone),
    {
      title: 'Angle to backprop',
      unit: 'degrees',
      of: (group) => atEnd(group, angleOf),
      format: fixed(1),
      better: less,
      compete: others,
      key: 'angle_degrees'
    },
    {
      title: 'Magnitude ratio',
      unit: 'update / gradient',
      of: (group) => atEnd(group, ratioOf),
      format: fixed(2),
      better: (a) => (a > 0 ? Math.abs(Math.log(a)) : Infinity),
      compete: others,
      key: 'magnitude_ratio'
    },
    ...COSTS.map(({key, title, unit, isRelative}) => ({
                   title,
                   unit: isRelative ? 'backprop = 1' : unit,
                   key: isRelative ? `${key}_relative_to_backprop` : `${key}_${unit}`,
                   of: (group) => costOf(group, (isRelative ? relative : absolute)[key]),
                   format: isRelative ? fixed(2) : significant,
                   better: less,
                   compete: isRelative ? (group) => !group.exact : () => true,
                 })),
  ];
  return columns.filter((column) => groups.some((group) => column.of(group)));
}

function statusOf(group) {
  const count = new Map();
  for (const run of group.runs) {
    const word = run.status || 'not recorded';
    count.set(word, (count.get(word) || 0) + 1);
  }
  const words = count.size === 1 ?
      [...count.keys()][0] :
      [...count].sort(([, a], [, b]) => b - a).map(([word, n]) => `${n} ${word}`).join(', ');
  return {words, problem: group.runs.some((run) => !run.finished)};
}

const atBestEpoch = () => allRuns.some((run) => number(run.summary.best_epoch) !== null);
/** When the values of the table were taken. */
const moment = () =>
    (atBestEpoch() ?
         'Test and validation values are those of the best epoch by validation, all others those of the end of training.' :
         'Values at the end of training.');

function results() {
  const columns = resultColumns();
  const table = rulesTable(columns, statusOf);
  const marked = columns.some((column) => column.best.size);
  const partial = columns.some(
      (column) => groups.some((group) => column.cells.get(group) && column.cells.get(group).n < group.runs.length));
  const spread = repeated && ` Mean ${PLUS_MINUS} standard deviation over seeds.`;
  const node = section(
      'results', 'Results', moment(), spread,
      several && marked &&
          ' The best value of a column is marked; where a column compares with backprop, the best of the other rules.',
      several && ' Click a heading to sort.',
      partial && ' * Mean over some of the runs: the others have no such value, say because they diverged.',
      drawsNote());
  node.append(table);
  if (several && ranked.length > 1)
    figure(
        grid(node, 'one'), 'ranking',
        () => dotChart({
          title: `${capital(metric.name)}, ${metric.sign > 0 ? 'lowest' : 'best'} first`,
          unit: metric.unit,
          quantity: {...metric.quantity, at: null},
          rows: ranked.map(
              ({group, value}) => ({
                ...group,
                value,
                singles: group.counted.map((run) => ({seed: run.seed, value: number(run.summary[metric.key])}))
                             .filter((one) => known(one.value)),
              })),
          note: repeated ? `A mark is a seed, a tick the mean, a bar ${
                               PLUS_MINUS} one standard deviation. The axis need not start at zero.` :
                           'The axis need not start at zero.',
        }));
  node.append(downloads(columns));
}
