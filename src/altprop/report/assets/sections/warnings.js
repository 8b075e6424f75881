// What to keep in mind: what went wrong, what is too little to judge by, what the runs warned of.

/** [{words, whose: labels, grave: also said at the top}] */
const warningList = (() => {
  let list = null;
  return () => (list = list || collectWarnings());
})();

function collectWarnings() {
  const out = [];
  const ofStatus = (word) => groups.filter((group) => group.runs.some((run) => run.status === word));
  const count = (word) => allRuns.filter((run) => run.status === word).length;
  const names = (some) => listed(some.map((group) => group.label)).join('');
  const whichRuns = (word) =>
      (several || repeated ? `${plural(count(word), 'run')} (${names(ofStatus(word))})` : 'The run');
  if (count('diverged'))
    out.push({
      grave: true,
      whose: [],
      words: `${whichRuns('diverged')} diverged: the numbers were no longer finite. ${
          several || repeated ? 'Such runs have no outcome and do not count in means; their curves end early.' :
                                `The last record is of epoch ${allRuns[0].epochs[allRuns[0].epochs.length - 1] ?? 0}.`}`
    });
  if (count('interrupted'))
    out.push({
      grave: true,
      whose: [],
      words: `${whichRuns('interrupted')} stopped before the end${
          several || repeated ? ' and counts only where no run of the rule came to its end' :
                                ''}; altprop resume continues it.`
    });
  if (count('running'))
    out.push({
      grave: true,
      whose: [],
      words: `${whichRuns('running')} had not come to the end when this page was made: make it again later.`
    });
  out.push(...fewSeeds(), ...missingParts());
  for (const note of data.notes) out.push({words: text(note), whose: []});
  const heard = new Map();
  for (const group of groups)
    for (const {summary} of group.runs)
      for (const warning of Array.isArray(summary.warnings) ? summary.warnings : [])
        heard.set(text(warning), (heard.get(text(warning)) || new Set()).add(group.label));
  for (const [words, labels] of heard) out.push({words, whose: [...labels]});
  return out;
}

function fewSeeds() {
  const ended = groups.filter((group) => group.counted.length);
  const single = ended.filter((group) => group.counted.length === 1);
  if (!several || ended.length < 2 || !single.length) return [];
  if (single.length === ended.length)
    return [{
      grave: true,
      whose: [],
      words: 'There is one run per rule: how much of a difference is luck cannot be told. Use --seeds 1,2,3 or more.'
    }];
  return [{
    whose: single.map((group) => group.label),
    words: 'Only one run came to its end, so nothing is known of the spread over seeds.'
  }];
}

function missingParts() {
  const out = [];
  if (several && !groups.some((group) => group.exact))
    out.push({
      whose: [],
      words:
          'Backprop was not among the rules, so costs are absolute and nothing says what exact gradients would reach.'
    });
  if (!parameterNames.length && allRuns.some((run) => run.epochs.length)) {
    const off = allRuns.every((run) => number(run.summary.settings?.['probe-every']) === 0);
    out.push(
        {whose: [], words: `Angles and magnitudes were not measured${off ? ': the runs had probe-every = 0' : ''}.`});
  }
  const asked = unique(allRuns.map(askedEpochs).filter(known));
  if (asked.length > 1)
    out.push({
      grave: true,
      whose: [],
      words: `The runs were not equally long: ${listed(asked.map((n) => plural(n, 'epoch'))).join('')}.`
    });
  return out;
}

function warnings() {
  const list = warningList();
  if (!list.length) return;
  const whose = (labels) => labels.length > 0 && several &&
      h('span', {class: 'about'}, labels.length === groups.length ? ' (all rules)' : ` (${labels.join(', ')})`);
  section('warnings', 'Warnings')
      .append(h('ul', {}, list.map((one) => h('li', {class: one.grave && 'grave'}, one.words, whose(one.whose)))));
}
