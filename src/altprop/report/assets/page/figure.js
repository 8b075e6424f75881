// Figures: a caption, a key and a drawing that follows the width of the page and the switches. Each
// can show its numbers as a table instead.

const main = document.getElementById('main'), contents = document.getElementById('contents');

const state = {
  hidden: new Set(),    // rules switched off
  spread: 'deviation',  // what goes beside a mean: deviation, range or runs
  late: false,          // the second half of training only
  biases: false,
  norms: false,
};

const figures = [];
const redraw = () => figures.forEach((draw) => draw());

/**
 * @param id names the figure in the page
 * @param specify() null if there is nothing to show now, or {kind, title, group, key, note,
 *   draw(spec, width), numbers(spec): {columns, rows}}
 */
function figure(parent, id, specify) {
  const caption = h('figcaption'), key = h('div', {class: 'key'}), holder = h('div', {class: 'holder'});
  const note = h('p', {class: 'note'});
  let asTable = false;
  const turn =
      h('button', {
        type: 'button',
        class: 'option turn',
        'aria-pressed': 'false',
        click: () => {
          asTable = !asTable;
          turn.setAttribute('aria-pressed', asTable);
          draw();
        }
      },
        'Table');
  const node = h('figure', {'data-figure': id}, h('div', {class: 'top'}, caption, turn), key, holder, note);
  parent.append(node);
  function draw() {
    const spec = specify();
    node.hidden = !spec;
    if (!spec) return holder.replaceChildren();
    caption.replaceChildren(
        ...(spec.group && several ? [swatch(spec.group)] : []), spec.group ? breakable(spec.title) : spec.title);
    turn.setAttribute('aria-label', `Table of ${spec.title}`);
    key.replaceChildren(...(spec.key || []).map((item) => h('span', {}, swatch(item), breakable(item.label))));
    note.replaceChildren(spec.note || '');
    if (asTable) return holder.replaceChildren(numbersTable(spec));
    const chart = spec.draw(spec, Math.max(260, Math.floor(holder.clientWidth || 340)));
    chart.dataset.kind = spec.kind;
    holder.replaceChildren(chart);
  }
  figures.push(draw);
}

function numbersTable(spec) {
  const {columns, rows} = spec.numbers(spec);
  return h(
      'div', {class: 'scroll numbers'},
      h('table', {}, h('thead', {}, h('tr', {}, columns.map((name) => h('th', {scope: 'col'}, name)))),
        h('tbody', {},
          rows.map((row) => h('tr', {}, row.map((cell) => h('td', {}, known(cell) && cell !== '' ? cell : DASH)))))));
}

function section(id, title, ...about) {
  const node = h(
      'section', {id, 'aria-labelledby': `${id}-title`}, h('div', {class: 'head'}, h('h2', {id: `${id}-title`}, title)),
      about.some(Boolean) && h('p', {class: 'about'}, about));
  main.append(node);
  contents.append(h('a', {href: `#${id}`}, title));
  return node;
}
function grid(parent, kind = '') {
  const node = h('div', {class: `grid ${kind}`});
  parent.append(node);
  return node;
}

// ---- switches

/** A button that turns state[key] between `value` and `otherwise`; all of one key act together. */
function switchButton(label, key, value = true, otherwise = false) {
  const act = () => {
    state[key] = state[key] === value ? otherwise : value;
    for (const button of document.querySelectorAll(`[data-switch="${key}"]`))
      button.setAttribute('aria-pressed', button.dataset.value === String(state[key]));
    redraw();
  };
  return h(
      'button', {
        type: 'button',
        class: 'option',
        'data-switch': key,
        'data-value': String(value),
        'aria-pressed': String(state[key] === value),
        click: act,
      },
      label);
}
const spreadSwitches = () =>
    (repeated ?
         [
           switchButton('Lowest to highest', 'spread', 'range', 'deviation'),
           switchButton('Single runs', 'spread', 'runs', 'deviation')
         ] :
         []);

const visible = () => groups.filter((group) => !state.hidden.has(group));
const allEpochs = unique(groups.flatMap((group) => group.epochs)).sort((a, b) => a - b);
const halfway = allEpochs.length ? (allEpochs[0] + allEpochs[allEpochs.length - 1]) / 2 : 0;
const lateSwitch = () => (allEpochs.length > 5 ? [switchButton('Second half only', 'late')] : []);

/** Switches beside a section's title; chips that show and hide rules in every line chart. */
function legend(node, shown, ...options) {
  const chip = (group) => {
    const index = groups.indexOf(group);
    const toggle = () => {
      if (!state.hidden.delete(group)) state.hidden.add(group);
      for (const twin of document.querySelectorAll(`[data-group="${index}"]`))
        twin.setAttribute('aria-pressed', !state.hidden.has(group));
      redraw();
    };
    return h(
        'button', {
          type: 'button',
          'aria-pressed': 'true',
          'data-group': index,
          click: toggle,
        },
        swatch(group), breakable(group.label));
  };
  if (options.length) node.append(h('div', {class: 'options'}, options));
  if (several && shown.length)
    node.append(h('div', {class: 'legend', role: 'group', 'aria-label': 'Rules shown'}, shown.map(chip)));
}
