// Settings: once what all runs share, then what differs between rules.

/** What a reader asks for first; everything else waits in a fold. */
const MAIN_SETTINGS = [
  'net', 'parameters', 'init', 'data', 'batch', 'epochs', 'loss', 'optimizer', 'lr', 'learning_rate', 'momentum',
  'weight-decay', 'schedule', 'seed', 'device', 'dtype', 'threads', 'probe-batch'
];
/** Said elsewhere, or a second name of another one. */
const NOT_SETTINGS = new Set(['rule', 'rules', 'rule-options', 'out', 'label', 'folder', 'seeds', 'title', 'notes']);

/** All settings of a run by name; those of rule, direction and data set under their own names. */
function settingsOf({summary}) {
  const own = isObject(summary.settings) ? summary.settings : {};
  const out = new Map();
  const put = (key, value) => {
    if (NOT_SETTINGS.has(key)) return;
    if (['data-options', 'direction-options'].includes(key) && isObject(value)) return Object.entries(value).forEach((pair) => put(...pair));
    const words = Array.isArray(value) ? value.map(text).join(', ') : text(value);
    if (words !== '') out.set(key, words);
  };
  for (const key of ['net', 'parameters', 'data', 'batch', 'loss', 'optimizer', 'device', 'dtype'])
    put(key, summary[key]);
  if (!known(own.lr)) put('learning_rate', summary.learning_rate);
  if (!known(own.epochs)) put('epochs', summary.epochs);
  Object.entries(own).forEach((pair) => put(...pair));
  put('threads', summary.threads);  // those really used
  put('seed', summary.seed);
  Object.entries(isObject(summary.rule_options) ? summary.rule_options : {}).forEach((pair) => put(...pair));
  return out;
}

function settings() {
  const maps = groups.map((group) => {
    const all = new Map();
    for (const run of group.runs)
      for (const [key, value] of settingsOf(run)) all.set(key, unique([...(all.get(key) || []), value]));
    return new Map([...all].map(([key, list]) => [key, list.join(', ')]));
  });
  const keys = unique(maps.flatMap((map) => [...map.keys()]));
  if (!keys.length) return;
  const shared = (key) => maps.every((map) => map.get(key) === maps[0].get(key));
  const node = section('settings', 'Settings', several && 'The same for every rule:');
  const order = (key) => (MAIN_SETTINGS.includes(key) ? MAIN_SETTINGS.indexOf(key) : 99);
  const common = keys.filter(shared).sort((a, b) => order(a) - order(b));
  const grouped = (value) => (/^\d{5,}$/.test(value) ? spaced(value) : value);
  const table = (some) =>
      h('div', {class: 'columns'},
        h('table', {class: 'facts'},
          h('tbody', {},
            some.map(
                (key) => h(
                    'tr', {}, h('th', {scope: 'row'}, key), h('td', {}, h('code', {}, grouped(maps[0].get(key)))))))));
  const first = common.filter((key) => order(key) < 99), rest = common.filter((key) => order(key) === 99);
  if (first.length) node.append(table(first));
  if (rest.length)
    node.append(h('details', {class: 'more'}, h('summary', {}, `${plural(rest.length, 'more setting')}`), table(rest)));
  const differing = keys.filter((key) => !shared(key));
  if (differing.length)
    node.append(
        h('p', {class: 'about next'}, 'Different between rules:'),
        h('table', {class: 'facts different'}, h('tbody', {}, groups.map((group, i) => {
            const own = differing.filter((key) => maps[i].has(key));
            return own.length > 0 &&
                h('tr', {}, h('th', {scope: 'row'}, h('div', {class: 'rule'}, swatch(group), breakable(group.label))),
                  h('td', {}, own.map((key) => h('code', {}, `${key} = ${maps[i].get(key)}`))));
          }))));
}
