// Continuous time: what solvers took, where in time credit turns away from the exact one, how it grows.

const perSolve = {floor: 0, format: significant};
/** Figures of blocks are called "block.quantity". */
const SOLVER = [
  {key: 'steps', title: 'Steps', unit: 'accepted steps of a solve, mean', quantity: perSolve},
  {key: 'most_steps', title: 'Longest solve', unit: 'accepted steps, at most', quantity: perSolve},
  {key: 'rejected_steps', title: 'Steps taken back', unit: 'rejected steps of a solve, mean', quantity: perSolve},
  {key: 'evaluations', title: 'Evaluations, forward', unit: 'of f, per solve', quantity: perSolve},
  {key: 'backward_evaluations', title: 'Evaluations, backward', unit: 'of f, per solve', quantity: perSolve},
];
const GROWTH = [
  {key: 'most', name: 'most'},
  {key: 'least', name: 'least'},
  {key: 'upper_bound', name: 'upper bound'},
  {key: 'lower_bound', name: 'lower bound'},
];

const figureOf = (name) => (record) => (isObject(record?.figures) ? number(record.figures[name]) : null);
/** Blocks that the records have this figure of. */
const blocksWith = (key) =>
    unique(allRuns.flatMap((run) => [...run.at.values()].flatMap((record) => Object.keys(isObject(record.figures) ? record.figures : {}))))
        .filter((name) => name.endsWith(`.${key}`))
        .map((name) => name.slice(0, -key.length - 1));

const creditOf = (record) => {
  const entries = objects(record?.ode_credit).filter((e) => number(e.step) !== null && number(e.stage) !== null && text(e.name));
  return entries.length ? entries : null;
};
/** The angle of credit by place (operation and stage) and step, at the last probe, mean over seeds; null without any. */
function creditMap(group) {
  const last = group.counted.map((run) => final(run, creditOf)).filter(known);
  if (!last.length) return null;
  const place = (entry) => `${text(entry.name)}, stage ${entry.stage + 1}`;
  const rows = unique(last.flat().map(place)), steps = unique(last.flat().map((e) => e.step)).sort((a, b) => a - b);
  const angles = new Map();
  for (const entry of last.flat()) {
    const key = `${place(entry)}\n${entry.step}`;
    angles.set(key, [...(angles.get(key) || []), angleOf(entry)]);
  }
  return {rows, steps, value: (r, c) => statistics(angles.get(`${rows[r]}\n${steps[c]}`) || [])?.mean ?? null};
}

function continuous() {
  const solved = SOLVER.filter(({key}) => blocksWith(key).length);
  const growing = namesIn('credit_growth');
  const mapped = groups.map((group) => ({group, map: creditMap(group)})).filter(({map}) => map);
  if (!solved.length && !growing.length && !mapped.length) return;
  const node = section(
      'continuous', 'Continuous time',
      'What the solvers of ODEs took in the training steps of an epoch, and how credit fares on its way back through time.');
  for (const group of groups) {
    const charts = [];
    for (const {key, ...look} of solved) {
      const lines = () => linesOf(group, blocksWith(key), (block) => figureOf(`${block}.${key}`));
      if (lines().length) charts.push([`solver-${key}:${group.label}`, () => lineChart({...look, key: lines(), lines: lines()})]);
    }
    for (const name of growing) {
      const lines = () => GROWTH.map(({key, name: label}, i) => ({
                                       ...lineLook(label, i),
                                       points: curve(group, inEntry('credit_growth', name, (entry) => number(entry[key]))),
                                     }))
                              .filter((line) => line.points.length);
      if (lines().length)
        charts.push([
          `growth:${name}:${group.label}`,
          () => lineChart({
            title: `Growth of credit through ${name}`,
            unit: "a sample's credit in front / behind",
            quantity: {log: true, at: 1, format: significant},
            key: lines(),
            lines: lines(),
          }),
        ]);
    }
    const map = mapped.find((one) => one.group === group)?.map;
    if (map)
      charts.push([
        `ode-credit:${group.label}`,
        () => heatMap({
          group,
          title: 'Credit against the exact one, at the last probe',
          rows: map.rows,
          columns: map.steps.map((step) => text(step + 1)),
          value: map.value,
          paint: paintAngle,
          format: (v) => fixed(1)(v) + DEGREE,
          short: (v) => [fixed(0)(v) + DEGREE, fixed(0)(v)],
          hole: 'no angle: not recorded, or no credit',
          rowName: 'operation and stage',
          columnName: 'step of the solver',
        }),
      ]);
    if (!charts.length) continue;
    if (several) node.append(h('h3', {}, named(group)));
    const room = grid(node, 'small');
    for (const [id, chart] of charts) figure(room, id, chart);
  }
}
