// What was compared on what, what came out, and the terms: in sentences, made of the records.

/** The score that all learners declare as theirs, if that is neither loss nor accuracy. */
function primaryScores() {
  const names = unique(allRuns.map((run) => run.summary.primary_score || 'loss'));
  return ownScores.filter(({name}) => names.length === 1 && name === names[0])
      .map(({name, more_is_better: more}) => ({
             key: `test_${name}`,
             name: `test ${spelt(name)}`,
             most: more ? 'highest' : 'lowest',
             unit: spelt(name),
             sign: more ? -1 : 1,
             quantity: {format: significant},
             write: significant,
             gap: (v) => significant(v)
           }));
}

/** What rules are ranked by: the first of these that any run has. */
const METRICS = [
  ...primaryScores(),
  {
    key: 'test_accuracy',
    name: 'test accuracy',
    most: 'highest',
    unit: '% right',
    sign: -1,
    quantity: QUANTITY.accuracy,
    write: QUANTITY.accuracy.format,
    gap: (v) => `${percent(v)} points`
  },
  {
    key: 'test_loss',
    name: 'test loss',
    most: 'lowest',
    unit: 'loss per sample',
    sign: 1,
    quantity: QUANTITY.loss,
    write: significant,
    gap: (v) => significant(v)
  },
];
const metric = METRICS.find(({key}) => groups.some((group) => outcome(group, key)));

/** Rules with an outcome, best first; those that were interrupted only if none came to its end. */
const ranked = !metric ? [] :
                         groups.filter((group) => !group.cut || groups.every((one) => one.cut || !one.counted.length))
                             .map((group) => ({group, value: outcome(group, metric.key)}))
                             .filter((row) => row.value)
                             .sort((a, b) => metric.sign * (a.value.mean - b.value.mean));

const named = (group) => h('b', {}, breakable(group.label));
const spreadOf = (value) => (value.n > 1 ? ` ${PLUS_MINUS} ${metric.write(value.deviation, value.mean)}` : '');

function opening() {
  const net = common('net'), set = common('data'), parameters = common('parameters');
  const own = common('title');
  const title = own || (several ? `${groups.length} learning rules` : groups[0].label) + (set ? ` on ${set}` : '');
  document.title = `${title} ${DASH} altprop report`;
  const asked = unique(allRuns.map(askedEpochs).filter(known));
  const seeds = unique(groups.map((group) => group.runs.length));
  const network = [
    net ? 'the network ' : 'a network',
    net && h('span', {class: 'name'}, net),
    /^\d+$/.test(parameters) && ` (${spaced(parameters)} parameters)`,
    ' was trained',
    set && ` on ${set}`,
    asked.length === 1 && ` for ${plural(asked[0], 'epoch')}`,
  ];
  const runs = seeds.length > 1 ? `, in ${plural(allRuns.length, 'run')}` :
      seeds[0] > 1 ? `, each from ${seeds[0]} seeds` :
                     '';
  main.append(
      h('h1', {}, own || several ? title : [breakable(groups[0].label), set && ` on ${set}`]),
      h('p', {class: 'lead'},
        several ?
            [
              capital('the same task, learnt in different ways: '), network,
              ` by ${groups.length} learning rules${runs}. `,
              groups.some((group) => group.exact) &&
                  'Backprop follows the exact gradient; the other rules replace a part of its computation. ',
              repeated && 'Runs with the same seed start from the same weights and see the data in the same order.'
            ] :
            [
              capital(text(network[0])), network.slice(1), ' with the learning rule ', named(groups[0]),
              repeated ? ` from ${groups[0].runs.length} seeds` :
                         groups[0].runs[0].seed && ` (seed ${groups[0].runs[0].seed})`,
              '. '
            ]));
  if (several)
    main.append(h('p', {class: 'lead finding'}, finding()), h('p', {class: 'lead'}, alsoFound()));
  else
    main.append(h('p', {class: 'lead finding'}, findingOfOne(groups[0])));
  const fairness = text(data.summary.fairness);
  if (fairness) main.append(h('p', {class: 'lead fairness'}, fairness));
  for (const notes of unique([data.summary, ...allRuns.map((run) => run.summary)].map((o) => text(o.notes)).filter(Boolean)))
    main.append(h('p', {class: 'lead notes'}, h('b', {}, 'Notes: '), notes));
  const caveats = warningList();
  if (caveats.some((one) => one.grave))
    main.append(
        h('p', {class: 'caution'}, h('b', {}, 'Mind: '),
          caveats.filter((one) => one.grave).map((one) => one.words).join(' '), ' ',
          h('a', {href: '#warnings'}, 'All warnings'), '.'));
  glossary();
}

/** The moment of the test values, as the beginning of a sentence on them. */
const reached = () => (atBestEpoch() ? 'reached, at its epoch of best validation loss,' : 'ended with');

/** Who ended best, by how much, and what the seeds allow to say about it. */
function finding() {
  if (!ranked.length) return 'No run recorded a test result.';
  const [best, ...rest] = ranked;
  const out = [
    named(best.group),
    ` ${reached()} the ${metric.most} ${metric.name}, ${metric.write(best.value.mean)}${spreadOf(best.value)}`,
    best.value.n > 1 && ` (mean and standard deviation over ${best.value.n} seeds)`, '. '
  ];
  if (!rest.length) return out;
  const gap = (row) => metric.gap(Math.abs(row.value.mean - best.value.mean));
  const shown = rest.length > 4 ? rest.slice(0, 3) : rest;
  out.push('Behind it: ', listed(shown.map((row) => [named(row.group), ` by ${gap(row)}`])), '. ');
  if (shown.length < rest.length) {
    const last = rest[rest.length - 1];
    out.push('Last of all is ', named(last.group), `, ${gap(last)} behind. `);
  }
  return [...out, ...certainty(best, rest)];
}

/** Which of the distances to the best are more than chance. */
function certainty(best, rest) {
  const verdicts = rest.map((row) => ({...row, clear: clearlyDifferent(best.value, row.value)}));
  if (verdicts.every((row) => row.clear === null)) return ['With one seed per rule, small differences may be chance.'];
  const some = (clear) => verdicts.filter((row) => row.clear === clear);
  const [chance, sure] = [some(false), some(true)];
  if (!chance.length)
    return sure.length === verdicts.length ? ['Seeds alone do not explain these differences (95 %).'] : [];
  const names = chance.length > 4 ? [`${chance.length} of them`] : listed(chance.map((row) => named(row.group)));
  return [
    'The distance of ', names, ' may be chance, given how much the seeds differ',
    sure.length > 0 && (sure.length > 1 ? '; the others are clear' : '; the other is clear'), ' (95 %).'
  ];
}

/** How near to backprop's gradient the rules came, and what they cost. */
function alsoFound() {
  const others = groups.filter((group) => !group.exact);
  const sorted = (of) => others.map((group) => ({group, value: of(group)}))
                             .filter((row) => row.value)
                             .sort((a, b) => a.value.mean - b.value.mean);
  return [...nearness(sorted((group) => atEnd(group, angleOf))), costRange(sorted)];
}

function nearness(tilts) {
  if (tilts.length < 2) return [];
  const degrees = (row) => fixed(0)(row.value.mean) + DEGREE;
  const last = tilts[tilts.length - 1];
  return [
    'At the end, the updates of ', named(tilts[0].group), ' pointed closest to backprop\'s gradient (',
    `${degrees(tilts[0])} away, averaged over the weights), those of `, named(last.group),
    ` farthest (${degrees(last)}). `
  ];
}

function costRange(sorted) {
  const factor = (row) => fixed(2)(row.value.mean) + TIMES;
  const range = (costs) => unique([costs[0], costs[costs.length - 1]].map(factor)).join(' to ');
  const words = COSTS.filter((cost) => cost.isRelative)
                    .map((cost) => [cost.noun, sorted((group) => costOf(group, relative[cost.key]))])
                    .filter(([, costs]) => costs.length)
                    .map(([noun, costs]) => `${range(costs)} the ${noun}`);
  return words.length ? `Relative to backprop, a training step took ${listed(words).join('')}.` : '';
}

function findingOfOne(group) {
  const out = [];
  if (ranked.length)
    out.push(`It ${group.cut ? 'had' : reached()} a ${metric.name} of ${metric.write(ranked[0].value.mean)}${
        spreadOf(ranked[0].value)}${group.cut ? ' when it was interrupted' : ''}. `);
  const angle = atEnd(group, angleOf), ratio = atEnd(group, ratioOf);
  if (angle && !group.exact)
    out.push(
        `Its updates pointed ${fixed(0)(angle.mean)}${DEGREE} away from backprop's gradient at the end`,
        ratio && ` and were ${fixed(2)(ratio.mean)} times as long`, ', averaged over the weights. ');
  const seconds = costOf(group, (o) => number(o.train_seconds));
  if (seconds) out.push(`Training took ${duration(seconds.mean)}.`);
  return out;
}
function duration(seconds) {
  if (seconds < 90) return `${significant(seconds)} seconds`;
  return seconds < 5400 ? `${fixed(1)(seconds / 60)} minutes` : `${fixed(1)(seconds / 3600)} hours`;
}

function glossary() {
  const hasFeedback = namesIn('alignment').length > 0;
  const terms = [
    [
      'Learning rule',
      'How the error at the output becomes a change of each weight. Backprop computes the ' +
          'exact gradient by sending the error back through the same weights that were used forwards. Every other ' +
          'rule replaces a part of that, for instance by separate feedback weights, as brains seem to need.'
    ],
    parameterNames.length &&
        [
          'Angle to backprop',
          'The angle between the update a rule proposes and the exact ' +
              `gradient, at the same weights on the same samples. 0${DEGREE} is the same direction; up to 90${
                  DEGREE} a small step ` +
              `still lowers the loss; 90${DEGREE} is unrelated.`
        ],
    parameterNames.length &&
        [
          'Magnitude ratio',
          'The length of a rule\'s update divided by that of the exact ' +
              'gradient. At 2 the rule steps twice as far as backprop would with the same learning rate. ' +
              'An angle says nothing ' +
              'about length, so the two belong together.'
        ],
    hasFeedback &&
        [
          'Alignment',
          'How much a rule\'s feedback weights resemble the forward weights they stand in for: ' +
              `0${DEGREE} is alike up to a factor. Some rules learn to align and then act as backprop does.`
        ],
    hasFeedback &&
        [
          'Exact law',
          'For Kolen-Pollack and product feedback alignment the difference between feedback and ' +
              'forward weights shrinks by a factor that follows from learning rate, momentum and weight decay alone. ' +
              'It ' +
              'is 1 at the start; at 0 the two are alike.'
        ],
    repeated &&
        [
          'Seeds and spread',
          'Runs that differ only in their random numbers. \u00b1 is the sample standard deviation ' +
              'over seeds. A difference is called clear if Welch\'s t-test rejects chance at 95 %, ' +
              'each pair by itself; with ' +
              'few seeds only large differences pass.'
        ],
    ['Epoch', 'One pass over the training data.'],
  ].filter(Boolean);
  main.append(
      h('div', {class: 'terms', id: 'terms'}, h('span', {class: 'about'}, 'Terms:'),
        terms.map(([term, meaning]) => h('details', {}, h('summary', {}, term), h('p', {}, meaning)))));
}
