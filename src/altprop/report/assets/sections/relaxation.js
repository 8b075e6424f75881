// How the states of relaxing rules settle: what share of its credit each holds after how many steps.

const SETTLING = [
  {
    key: 'scale',
    title: 'Credit received',
    unit: 'share of the credit',
    quantity: {floor: 0, at: 1, format: (v) => `${fixed(1)(100 * v)}${THIN}%`, tick: (v, step) => plainTick(v, step)},
  },
  {key: 'cosine', title: 'Direction', unit: 'cosine', quantity: {at: 1, ceiling: 1, format: fixed(4)}},
  {key: 'apart', title: 'Distance from backprop through as many steps', unit: 'relative', quantity: {log: true, format: significant}},
  {key: 'residual', title: 'Distance from rest', unit: 'force / norm of the state', quantity: {log: true, format: significant}},
  {key: 'energy', title: 'Energy', unit: 'per sample', quantity: {log: true, format: significant}},
];

const isSettling = (record) => isObject(record?.relaxation) && objects(record.relaxation.states).length > 0 &&
    Array.isArray(record.relaxation.steps);
/** What the last probe of every run saw. */
const lastSettlings = (group) =>
    group.counted.map((run) => final(run, (record) => (isSettling(record) ? record.relaxation : null))).filter(known);
const stateName = (entry) => text(entry.layer) || text(entry.name);

/** A line per state: mean over the seeds of one series, over steps. */
function settlingLines(settlings, key) {
  const names = unique(settlings.flatMap((one) => objects(one.states).map(stateName)));
  const value = (one, name, x) => {
    const entry = objects(one.states).find((candidate) => stateName(candidate) === name);
    const v = entry && Array.isArray(entry[key]) ? number(entry[key][one.steps.indexOf(x)]) : null;
    return ['apart', 'residual', 'energy'].includes(key) && v === 0 ? null : v;  // the scale is logarithmic
  };
  const xs = unique(settlings.flatMap((one) => one.steps)).filter((x) => number(x) !== null);
  return names
      .map((name, i) => ({
             ...lineLook(name, i),
             points: xs.sort((a, b) => a - b)
                         .map((x) => ({x, ...statistics(settlings.map((one) => value(one, name, x)))}))
                         .filter((point) => known(point.mean)),
           }))
      .filter((line) => line.points.length);
}

/** What theory says will have arrived, in words; '' if it says nothing. */
function arrivalWords(settling) {
  const states = objects(settling.states).filter((entry) => number(entry.expected) !== null);
  if (!states.length) return '';
  const least = states.reduce((a, b) => (b.expected < a.expected ? b : a));
  const needed = number(least.steps_needed);
  return `In theory ${stateName(least)} receives least, ${fixed(1)(100 * least.expected)}${THIN}% of its credit` +
      (needed === null ? '.' : `; 99.9${THIN}% takes ${plural(needed, 'step')}.`);
}

/** What the rule itself says of it, under any seed. */
const remarks = (settlings) => unique(
    settlings.flatMap((one) => (Array.isArray(one.remarks) ? one.remarks : [])).map(text).filter(Boolean));

function relaxation() {
  const shown = groups.map((group) => ({group, settlings: lastSettlings(group)})).filter((one) => one.settlings.length);
  if (!shown.length) return;
  const node = section(
      'relaxation', 'Relaxation',
      'Rules whose states settle before the weights learn: each layer\'s credit after every step on the probe batch, at ' +
          'the end of training. A layer that receives a small share of its credit learns as if its learning rate were ' +
          'that much smaller, which the angle to backprop does not show.');
  for (const {group, settlings} of shown) {
    const against = unique(settlings.map((one) => text(one.compared_with)).filter(Boolean)).join(' or ');
    if (several) node.append(h('h3', {}, named(group)));
    node.append(h('p', {class: 'about'}, against && `Compared with the ${against}. `, arrivalWords(settlings[0])));
    for (const remark of remarks(settlings)) node.append(h('p', {class: 'about'}, remark));
    const charts = grid(node, 'small');
    for (const {key, ...look} of SETTLING)
      if (settlingLines(settlings, key).length)
        figure(charts, `relaxation-${key}:${group.label}`, () => lineChart({
                                                             ...look,
                                                             xName: 'step',
                                                             key: settlingLines(settlings, key),
                                                             lines: settlingLines(settlings, key),
                                                           }));
  }
}
