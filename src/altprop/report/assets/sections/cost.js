// What a training step takes: bars next to each other for several rules, plain facts for one.

const relative = {
  time: (summary) => number(summary.time_relative_to_backprop),
  memory: (summary) => number(summary.memory_relative_to_backprop),
  flops: (summary) => number(summary.flops_relative_to_backprop),
};
const absolute = {
  time: (summary) => scaled(summary.step_seconds, 1e3),
  memory: (summary) => scaled(summary.peak_memory_above_data_bytes ?? summary.peak_memory_bytes, 1 / 2 ** 20),
  flops: (summary) => scaled(summary.step_flops, 1e-6),
};
function scaled(value, factor) {
  return number(value) === null || value === 0 ? null : value * factor;
}
const COSTS = [
  {key: 'time', noun: 'time', title: 'Time per step', unit: 'ms'},
  {key: 'memory', noun: 'memory', title: 'Peak memory', unit: 'MiB'},
  {key: 'flops', noun: 'FLOPs', title: 'FLOPs per step', unit: 'million'},
].map((cost) => ({
        ...cost,
        isRelative: allRuns.some((run) => relative[cost.key](run.summary) !== null) &&
            groups.some((group) => group.exact) && several,
      }));

function cost() {
  const present =
      COSTS.filter(({key}) => groups.some((group) => costOf(group, absolute[key]) || costOf(group, relative[key])));
  if (!present.length) return;
  const node = section(
      'cost', 'Cost', several ? 'What one training step takes. Less is better. ' : '',
      present.some(({key}) => key === 'time') &&
          'Time is the median over steps; other programs on the machine disturb it. ',
      present.some(({key}) => key === 'memory') && 'Memory is the peak during training without the data set. ',
      present.some(({key}) => key === 'flops') &&
          'FLOPs are those of matrix products and convolutions, counted during a step as it ran.',
      several && COSTS.some(({isRelative}) => isRelative) && ' Bars with whiskers: mean, lowest and highest run.');
  if (!several) return node.append(costFacts(groups[0], present));
  const charts = grid(node);
  for (const {key, title, unit, isRelative} of present) {
    const of = (isRelative ? relative : absolute)[key];
    const bars =
        groups
            .map((group) => ({...group, value: costOf(group, of), details: absoluteRow(group, key, unit, isRelative)}))
            .filter((bar) => bar.value);
    if (!bars.length) continue;
    const write = isRelative ? (v) => fixed(2)(v) + TIMES : (v) => significant(v);
    figure(charts, `cost-${key}`, () => barChart({
                                    title,
                                    bars,
                                    format: write,
                                    reference: isRelative ? 1 : null,
                                    suffix: isRelative ? TIMES : '',
                                    unit: isRelative ? 'relative to backprop' : unit,
                                  }));
  }
}

function absoluteRow(group, key, unit, isRelative) {
  const value = isRelative && costOf(group, absolute[key]);
  return value ? [{label: 'absolute', value: `${significant(value.mean)} ${unit}`, color: group.color}] : [];
}

function costFacts(group, present) {
  const facts =
      present.map(({key, title, unit}) => [title, costOf(group, absolute[key]), (v) => `${significant(v)} ${unit}`]);
  facts.push(
      ['Samples per second', costOf(group, (o) => scaled(o.samples_per_second, 1)), (v) => spaced(Math.round(v))],
      ['Training in all', costOf(group, (o) => number(o.train_seconds)), duration]);
  return h(
      'table', {class: 'facts'},
      h('tbody', {},
        facts.filter(([, value]) => value)
            .map(
                ([name, value, write]) => h('tr', {}, h('th', {scope: 'row'}, name), h('td', {}, write(value.mean))))));
}
