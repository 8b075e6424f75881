// The records as the page uses them: runs in groups of one rule, curves over epochs, layers.

const data = JSON.parse(document.getElementById('records').textContent);

const DASHES = [null, '7 3', '2 3', '9 3 2 3'];
/** How the i-th of several lines that are no rules looks: layers, states, quantities. */
const lineLook = (label, i) => ({
  label,
  color: `var(--c${i % 7})`,
  dash: DASHES[Math.floor(i / 7) % DASHES.length],
  marker: MARKERS[i % MARKERS.length],
});
const isBackprop = (summary, label) =>
    /^(bp|backprop|backpropagation)$/.test(text(summary.rule) || label.replace(/\[.*$/s, ''));

function readRun({summary, epochs, deployment}) {
  const at = new Map();  // a resumed run may repeat an epoch: the later line counts
  epochs.forEach((record, index) => at.set(number(record.epoch) ?? index, record));
  const status = text(summary.status);
  return {
    summary,
    deployment,
    at,
    status,
    seed: text(summary.seed),
    epochs: [...at.keys()].sort((a, b) => a - b),
    finished: !['interrupted', 'diverged', 'running'].includes(status),
  };
}

/** One per rule label; its runs differ in the seed. Neighbours differ in colour, dash and marker. */
const groups = (() => {
  const byLabel = new Map();
  for (const record of data.runs) {
    const {summary} = record;
    const label = text(summary.label) || text(summary.rule) || 'unnamed rule';
    if (!byLabel.has(label)) byLabel.set(label, {label, runs: [], exact: isBackprop(summary, label)});
    byLabel.get(label).runs.push(readRun(record));
  }
  let exact = 0, other = 0;
  for (const group of byLabel.values()) {
    const index = group.exact ? exact++ : other++;
    group.color = group.exact ? 'var(--ink)' : `var(--c${index % 7})`;
    group.dash = DASHES[index % DASHES.length];
    group.marker = group.exact ? 'dot' : MARKERS[index % MARKERS.length];
    group.epochs = unique(group.runs.flatMap((run) => run.epochs)).sort((a, b) => a - b);
    // An outcome is that of runs which came to their end. A rule whose runs were all interrupted is
    // shown as far as it came; a diverged run has no outcome.
    const ended = group.runs.filter((run) => run.finished);
    const cut = group.runs.filter((run) => ['interrupted', 'running'].includes(run.status));
    group.counted = ended.length ? ended : cut;
    group.cut = !ended.length && cut.length > 0;
  }
  return [...byLabel.values()];
})();
const several = groups.length > 1;
const allRuns = groups.flatMap((group) => group.runs);
/** Scores that learners have beside loss and accuracy: {name, more_is_better}. */
const ownScores = (() => {
  const known = new Map();
  for (const run of allRuns)
    for (const score of objects(run.summary.scores))
      if (typeof score.name === 'string' && !known.has(score.name)) known.set(score.name, score);
  return [...known.values()];
})();
const spelt = (name) => name.replace(/_/g, ' ');
/** What single draws of a random estimate have to be read as. */
const drawsNote = () => {
  const random = groups.filter((group) => group.runs.some((run) => run.summary.stochastic === true));
  return random.length ? ` The gradient of ${listed(random.map((group) => group.label)).join('')} is a random estimate: ` +
          'angles and ratios are those of single draws.' :
                         '';
};
const repeated = allRuns.length > groups.length;

/** What all summaries say about `key`, or '' where they disagree. */
function common(key, read = (summary) => summary[key]) {
  const values = unique([data.summary, ...allRuns.map((run) => run.summary)].map((o) => text(read(o))).filter(Boolean));
  return values.length === 1 ? values[0] : '';
}
/** Epochs a run was meant to take. */
const askedEpochs = (run) => number(run.summary.settings?.epochs) ?? number(data.summary.epochs);

// ---- what a record says

const field = (key) => (record) => number(record[key]);
const isBias = (name) => /(^|\.)bias$/.test(name);
function angleOf(entry) {
  const cosine = number(entry.cosine), angle = number(entry.angle_degrees);
  if (angle !== null || cosine === null) return angle;
  return (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI;
}
const ratioOf = (entry) => number(entry.magnitude_ratio);
/** From a record: what `pick` reads from the entry called `name` in one of its lists. */
const inEntry = (list, name, pick) => (record) => {
  const entry = objects(record?.[list]).find((candidate) => candidate.name === name);
  return entry ? pick(entry) : null;
};

/** Names in records[].list[].name, in the order they first appear. */
function namesIn(list, keep = () => true) {
  const names = new Set();
  for (const run of allRuns)
    for (const record of run.at.values())
      for (const entry of objects(record[list]))
        if (typeof entry.name === 'string' && keep(entry)) names.add(entry.name);
  return [...names];
}
const parameterNames = namesIn('gradient');
const weightNames =
    parameterNames.some((name) => !isBias(name)) ? parameterNames.filter((name) => !isBias(name)) : parameterNames;

/**
 * Mean over the weights of one epoch's gradient entries; null unless all of them have the value. A rule that leaves
 * layers as they are has no angle there, and the mean of the rest would flatter it.
 */
function meanOverWeights(record, pick) {
  const wanted = new Set(weightNames);
  const values = objects(record?.gradient).filter((e) => wanted.has(e.name)).map(pick).filter(known);
  return values.length === weightNames.length ? statistics(values)?.mean ?? null : null;
}

// ---- over epochs and seeds

const anyRecord = (pick) => allRuns.some((run) => [...run.at.values()].some((record) => known(pick(record))));

/** The last epoch of a run at which `pick` knows something. */
function final(run, pick) {
  for (let i = run.epochs.length - 1; i >= 0; --i) {
    const value = pick(run.at.get(run.epochs[i]));
    if (known(value)) return value;
  }
  return null;
}

/** Mean and spread over the seeds at every epoch. */
function curve(group, pick) {
  return group.epochs
      .map((x) => ({
             x,
             ...statistics(group.runs.map((run) => (run.at.has(x) ? pick(run.at.get(x)) : null))),
           }))
      .filter((point) => known(point.mean));
}

/** Lines over epochs of what `pick` reads for each name; those without a point are left out. */
const linesOf = (group, names, pick) => names.map((name, i) => ({...lineLook(name, i), points: curve(group, pick(name))}))
                                            .filter((line) => line.points.length);

/** The curve of each seed by itself. */
function singleCurves(group, pick) {
  return group.runs
      .map((run) => ({
             seed: run.seed,
             diverged: run.status === 'diverged',
             points: run.epochs.map((x) => ({x, mean: pick(run.at.get(x))})).filter((p) => known(p.mean)),
           }))
      .filter((single) => single.points.length);
}

/** Of a summary's field, over the runs that came to their end. */
const outcome = (group, key) => statistics(group.counted.map((run) => number(run.summary[key])));
/** Of what training cost, over all runs. */
const costOf = (group, read) => statistics(group.runs.map((run) => read(run.summary)));
/** Mean over the weights at the end of training. */
const atEnd = (group, pick) =>
    statistics(group.counted.map((run) => final(run, (record) => meanOverWeights(record, pick))));
