// Draws the page from the records in <script id="records">. Text from the records only ever becomes
// text nodes and attribute values, never HTML. Any field may be missing: what nothing is known
// about is left out.
'use strict';

const root = document.documentElement;
const SVG = 'http://www.w3.org/2000/svg';
root.dataset.errors = 0;
window.onerror = () => {
  root.dataset.errors = Number(root.dataset.errors) + 1;
};

// ---------------------------------------------------------------- small helpers

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);
const objects = (v) => (Array.isArray(v) ? v.filter(isObject) : []);
const number = (v) => (typeof v === 'number' && Number.isFinite(v) ? v : null);
const text = (v) =>
    (v === null || v === undefined ? '' :
         typeof v === 'object'     ? JSON.stringify(v) :
                                     String(v));
const known = (v) => v !== null && v !== undefined;
const unique = (list) => [...new Set(list)];
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function')
      node.addEventListener(name, value);
    else if (known(value) && value !== false)
      node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter(
      (child) => known(child) && child !== false && child !== ''));
  return node;
}
const h = (tag, attributes, ...children) =>
    build(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) =>
    build(document.createElementNS(SVG, tag), attributes, children);

const canvas = document.createElement('canvas').getContext('2d');
function textWidth(string) {
  canvas.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  return canvas.measureText(string).width;
}
function fit(string, width) {
  if (textWidth(string) <= width) return string;
  let length = string.length;
  while (length > 1 && textWidth(string.slice(0, length) + '\u2026') > width) --length;
  return string.slice(0, length) + '\u2026';
}

const MINUS = '\u2212', TIMES = '\u00d7', DEGREE = '\u00b0', DASH = '\u2013', THIN = '\u202f';
const fixed = (digits) => (v) =>
    v.toFixed(digits).replace(/^-(?=0(\.0*)?$)/, '').replace('-', MINUS);
const percent = (v) => fixed(2)(100 * v);
/** Three or so digits; `like` gives a spread the digits of its mean. */
const significant = (v, like = v) => {
  const size = Math.abs(like);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return v.toExponential(1).replace('-', MINUS);
  return fixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)(v);
};

/** Mean and sample standard deviation of what is known; null when nothing is. */
function statistics(values) {
  const kept = values.filter(known);
  if (!kept.length) return null;
  const mean = kept.reduce((a, b) => a + b) / kept.length;
  const squares = kept.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return {
    mean,
    deviation: kept.length > 1 ? Math.sqrt(squares / (kept.length - 1)) : null,
    n: kept.length
  };
}

/** At most `limit` items, evenly chosen, always with the last. */
function thin(list, limit) {
  const step = Math.ceil(list.length / limit);
  return list.filter((_, index) => (list.length - 1 - index) % step === 0);
}

// ---------------------------------------------------------------- records

const data = JSON.parse(document.getElementById('records').textContent);

/** One per rule label; its runs differ in the seed. */
const groups = (() => {
  const byLabel = new Map();
  for (const {summary, epochs} of data.runs) {
    const label = text(summary.label) || text(summary.rule) || 'unnamed rule';
    if (!byLabel.has(label))
      byLabel.set(label, {label, runs: [], exact: /^(bp|backprop|backpropagation)$/.test(label)});
    const at = new Map();  // a resumed run may repeat an epoch: the later line counts
    epochs.forEach((record, index) => at.set(number(record.epoch) ?? index, record));
    byLabel.get(label).runs.push({summary, at});
  }
  let next = 0;
  const list = [...byLabel.values()];
  for (const group of list) {
    const index = group.exact ? -1 : next++;
    group.color = group.exact ? 'var(--ink)' : `var(--c${index % 7})`;
    group.dash = group.exact ? null : [null, '7 3', '2 3'][Math.floor(index / 7) % 3];
    group.epochs = unique(group.runs.flatMap((run) => [...run.at.keys()])).sort((a, b) => a - b);
  }
  return list;
})();
const several = groups.length > 1;
const allRuns = groups.flatMap((group) => group.runs);

const isBias = (name) => /(^|\.)bias$/.test(name);
const angleOf = (entry) => {
  const cosine = number(entry.cosine);
  return number(entry.angle_degrees) ??
      (cosine === null ? null : (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI);
};
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
const weightNames = parameterNames.some((name) => !isBias(name)) ?
    parameterNames.filter((name) => !isBias(name)) :
    parameterNames;

/** Mean over the weights of one epoch's gradient entries. */
function meanOverWeights(record, pick) {
  const values = weightNames.map((name) => inEntry('gradient', name, pick)(record));
  return statistics(values)?.mean ?? null;
}

/** The last epoch of a run at which `pick` knows something. */
function final(run, pick) {
  for (const epoch of [...run.at.keys()].sort((a, b) => b - a)) {
    const value = pick(run.at.get(epoch));
    if (known(value)) return value;
  }
  return null;
}

/** Mean and spread over the seeds at every epoch. */
function curve(group, pick) {
  return group.epochs
      .map((x) => ({
             x,
             ...statistics(group.runs.map((run) => (run.at.has(x) ? pick(run.at.get(x)) : null)))
           }))
      .filter((point) => known(point.mean));
}
const field = (key) => (record) => number(record[key]);
const anyRecord = (pick) =>
    allRuns.some((run) => [...run.at.values()].some((record) => known(pick(record))));

// ---------------------------------------------------------------- figures: a caption and a drawing
// that follows the width of the page and the state of the switches

const state = {
  hidden: new Set(),
  late: false,
  biases: false,
  norms: false
};
const figures = [];
let clips = 0;

function figure(parent, specify) {
  const caption = h('figcaption'), key = h('div', {class: 'key'}),
        holder = h('div', {class: 'holder'});
  const node = h('figure', {}, caption, key, holder);
  parent.append(node);
  figures.push(() => {
    const spec = specify();
    node.hidden = !spec;
    if (!spec) return holder.replaceChildren();
    caption.replaceChildren(...(spec.group && several ? [swatch(spec.group)] : []), spec.title);
    key.replaceChildren(...(spec.key || []).map((item) => h('span', {}, swatch(item), item.label)));
    holder.replaceChildren(spec.draw(spec, Math.max(260, Math.floor(holder.clientWidth || 340))));
  });
}
const redraw = () => figures.forEach((draw) => draw());

/** A rule's label or an option's name, which may break at its punctuation. */
const breakable = (name) =>
    h('span', {},
      name.split(/(?=\[)|(?<=[,=.])/).flatMap((part, i) => (i ? [h('wbr'), part] : [part])));

const swatch = ({color, dash, dots}) =>
    s('svg', {class: 'swatch', viewBox: '0 0 22 8', 'aria-hidden': 'true'},
      dots ? s('circle', {cx: 11, cy: 4, r: 3, fill: 'none', stroke: color, 'stroke-width': 1.5}) :
             s('line', {
               x1: 0,
               x2: 22,
               y1: 4,
               y2: 4,
               stroke: color,
               'stroke-width': 2.6,
               'stroke-dasharray': dash
             }));

const tip = document.getElementById('tip');
function showTip(event, title, rows = []) {
  tip.replaceChildren(
      h('b', {}, title),
      ...rows.map(
          (row) => h('div', {}, swatch(row), h('span', {}, row.label), h('span', {}, row.value))));
  tip.hidden = false;
  const {width, height} = tip.getBoundingClientRect();
  const left =
      event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top =
      `${Math.max(4, Math.min(event.clientY - height / 2, innerHeight - height - 4))}px`;
}
const hideTip = () => {
  tip.hidden = true;
};

function svg(width, height, label, ...children) {
  return s(
      'svg', {
        class: 'chart',
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: 'img',
        'aria-label': label
      },
      ...children);
}

/** Round numbers that cover [low, high] in about `count` steps. */
function ticks(low, high, count, whole = false) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough * 0.75);
  if (whole) step = Math.max(1, Math.round(step));
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    out.push(i * step);
  return out;
}

/** How many decimals tell numbers `step` apart. */
const decimals = (step) => Math.max(0, -Math.floor(Math.log10(step || 1) + 1e-9));

/**
 * Powers of ten between 10^low and 10^high, at most six of them; with 2s and 5s where that leaves
 * few.
 */
function logTicks(low, high) {
  const decades = high - low, step = Math.ceil(decades / 6), out = [];
  for (let power = Math.floor(low); power <= high; ++power)
    for (const digit of decades < 2.5 ? [1, 2, 5] : [1]) {
      const value = Number(`${digit}e${power}`);
      if (power % step === 0 && Math.log10(value) >= low && Math.log10(value) <= high)
        out.push(value);
    }
  return out;
}

// spec: title, unit, x, lines: [{label, color, dash, dots, points: [{x, mean, deviation}]}],
// format, tick, ticks, floor, ceiling, at (a reference), log (if the range calls for it), clipStart
function drawLines(spec, width) {
  const lines = spec.lines.filter((line) => line.points.length);
  const points = lines.flatMap((line) => line.points);
  const height = 240, top = 26, bottom = 36, right = 12;
  const xs = unique(points.map((p) => p.x)).sort((a, b) => a - b);
  // The climb out of the first epoch may be clipped, or it would squeeze all that follows.
  const framed = points.filter((p) => !spec.clipStart || xs.length < 4 || p.x > xs[0]);
  const lows = framed.map((p) => p.mean - (p.deviation || 0)),
        highs = framed.map((p) => p.mean + (p.deviation || 0));
  const means = framed.map((p) => p.mean);
  const log = spec.log && Math.min(...means) > 0 && Math.max(...means) / Math.min(...means) > 30;
  const scale = log ? Math.log10 : (v) => v;
  let low = log ? Math.log10(Math.min(...means)) :
                  Math.max(spec.floor ?? -Infinity, Math.min(...lows, spec.at ?? Infinity));
  let high = log ? Math.log10(Math.max(...means)) :
                   Math.min(spec.ceiling ?? Infinity, Math.max(...highs, spec.at ?? -Infinity));
  if (!(high - low > 1e-9 * Math.max(1, Math.abs(high)))) {
    low -= 0.5 * Math.abs(low) || 0.5;
    high += 0.5 * Math.abs(high) || 0.5;
  }
  const pad = 0.05 * (high - low);
  low = Math.max(log ? -Infinity : spec.floor ?? -Infinity, low - pad);
  high = Math.min(log ? Infinity : spec.ceiling ?? Infinity, high + pad);

  const marks = log ?
      logTicks(low, high).map(
          (v) =>
              [Math.log10(v),
               v < 1e-3 || v > 1e4 ? v.toExponential(0).replace('-', MINUS) : text(v)]) :
      (spec.ticks || ticks)(low, high, 5)
          .map((v, _, all) => [v, spec.tick(v, all.length > 1 ? all[1] - all[0] : 1)]);
  const left = Math.max(30, 10 + Math.max(...marks.map(([, label]) => textWidth(label))));
  let first = xs[0], last = xs[xs.length - 1];
  if (first === last) {
    first -= 1;
    last += 1;
  }
  const X = (x) => left + ((x - first) / (last - first)) * (width - left - right);
  const yOf = (scaled) => top + ((high - scaled) / (high - low)) * (height - top - bottom);
  const Y = (v) => yOf(scale(v));

  const chart = svg(
      width, height,
      `${spec.title}, ${spec.unit}, over ${spec.x}: ${lines.map((line) => line.label).join(', ')}`);
  chart.append(s('text', {class: 'unit', x: 0, y: 12}, spec.unit + (log ? ' (log scale)' : '')));
  for (const [value, label] of marks)
    chart.append(
        s('line',
          {x1: left, x2: width - right, y1: yOf(value), y2: yOf(value), stroke: 'var(--grid)'}),
        s('text', {x: left - 7, y: yOf(value) + 4, 'text-anchor': 'end'}, label));
  for (const x of ticks(first, last, Math.min(6, width / 70), true))
    if (x >= 0)
      chart.append(s('text', {x: X(x), y: height - bottom + 17, 'text-anchor': 'middle'}, text(x)));
  chart.append(
      s('line', {
        x1: left,
        x2: width - right,
        y1: height - bottom,
        y2: height - bottom,
        stroke: 'var(--faint)'
      }),
      s('text', {class: 'unit', x: width - right, y: height - 3, 'text-anchor': 'end'}, spec.x));
  if (known(spec.at) && !log)
    chart.append(s('line', {
      x1: left,
      x2: width - right,
      y1: Y(spec.at),
      y2: Y(spec.at),
      stroke: 'var(--faint)',
      'stroke-dasharray': '1 3'
    }));

  const clip = `clip${++clips}`;
  const inside = s('g', {'clip-path': `url(#${clip})`});
  chart.append(
      s('clipPath', {id: clip}, s('rect', {
          x: left - 4,
          y: top - 4,
          width: width - left - right + 8,
          height: height - top - bottom + 8
        })),
      inside);
  for (const line of lines) {
    const band = line.points.filter((p) => p.deviation);
    if (band.length > 1) {
      const edge = [
        ...band.map((p) => [p.x, p.mean + p.deviation]),
        ...band.reverse().map((p) => [p.x, p.mean - p.deviation])
      ];
      inside.append(s('polygon', {
        points: edge.map(([x, v]) => `${X(x).toFixed(1)},${Y(v).toFixed(1)}`).join(' '),
        fill: line.color,
        opacity: 0.14
      }));
    }
  }
  for (const line of lines) {
    const path = line.points.map((p) => `${X(p.x).toFixed(1)},${Y(p.mean).toFixed(1)}`).join(' ');
    if (!line.dots)
      inside.append(s('polyline', {
        points: path,
        fill: 'none',
        stroke: line.color,
        'stroke-width': 1.9,
        'stroke-linejoin': 'round',
        'stroke-dasharray': line.dash
      }));
    if (line.dots || line.points.length === 1)
      for (const p of thin(line.points, 25))
        inside.append(s('circle', {
          cx: X(p.x),
          cy: Y(p.mean),
          r: 3,
          fill: 'var(--page)',
          stroke: line.color,
          'stroke-width': 1.5
        }));
  }

  const cursor = s('g');
  chart.append(
      cursor, s('rect', {x: left, y: 0, width: width - left - right, height, fill: 'transparent'}));
  chart.addEventListener('pointermove', (event) => {
    const box = chart.getBoundingClientRect();
    const at = first +
        (((event.clientX - box.left) * (width / box.width) - left) / (width - left - right)) *
            (last - first);
    const x = xs.reduce((a, b) => (Math.abs(b - at) < Math.abs(a - at) ? b : a));
    const here = lines.map((line) => ({...line, point: line.points.find((p) => p.x === x)}))
                     .filter((line) => line.point);
    here.sort((a, b) => b.point.mean - a.point.mean);
    cursor.replaceChildren(
        s('line', {x1: X(x), x2: X(x), y1: top, y2: height - bottom, stroke: 'var(--faint)'}),
        ...here.map((line) => s('circle', {
                      cx: X(x),
                      cy: Y(line.point.mean),
                      r: 3.2,
                      fill: line.color,
                      'clip-path': `url(#${clip})`
                    })));
    showTip(
        event, `${spec.x} ${x}`,
        here.map((line) => ({
                   ...line,
                   value: spec.format(line.point.mean) +
                       (line.point.deviation === null ?
                            '' :
                            ` \u00b1 ${spec.format(line.point.deviation, line.point.mean)}`)
                 })));
  });
  chart.addEventListener('pointerleave', () => {
    cursor.replaceChildren();
    hideTip();
  });
  return chart;
}

// spec: title, rows and columns (texts), value(row index, column index), paint, format, short
// (labels, longest first), rowName, columnName, widest (row labels), narrowest (cells), keepLabels
function drawMap(spec, width) {
  const {rows, columns} = spec;
  const size =
      Math.min(spec.widest ?? 0.4 * width, 14 + Math.max(...rows.map((row) => textWidth(row) + 2)));
  const top = 20, bottom = 22, gap = 1.5;
  const cell = Math.max(spec.narrowest ?? 3, Math.min(96, (width - size) / columns.length));
  const tall = Math.max(16, Math.min(26, 420 / rows.length));
  const full = Math.max(width, size + cell * columns.length),
        height = top + tall * rows.length + bottom;
  const chart = svg(full, height, `${spec.title}: ${spec.rowName} by ${spec.columnName}`);
  chart.append(s('text', {class: 'unit', x: 0, y: 12}, spec.rowName));
  rows.forEach((row, r) => {
    const y = top + r * tall;
    chart.append(
        s('text', {class: 'value', x: size - 9, y: y + tall / 2 + 4, 'text-anchor': 'end'},
          s('title', {}, row), fit(row, size - 10)));
    columns.forEach((column, c) => {
      const value = spec.value(r, c);
      const {fill, strong} = known(value) ? spec.paint(value) : {fill: 'none'};
      const name = `${row}, ${spec.columnName} ${column}: ${
          known(value) ? spec.format(value) : 'not recorded'}`;
      chart.append(s('rect', {
        x: size + c * cell,
        y,
        width: Math.max(1, cell - (cell > 8 ? gap : 0)),
        height: tall - gap,
        fill,
        stroke: known(value) ? null : 'var(--grid)',
        pointermove: (event) => showTip(event, name)
      }));
      const shown = known(value) && spec.short(value).find((label) => textWidth(label) <= cell - 4);
      if (shown)
        chart.append(
            s('text', {
              x: size + (c + 0.5) * cell - gap / 2,
              y: y + tall / 2 + 3.5,
              'text-anchor': 'middle',
              'pointer-events': 'none',
              style: `fill: ${strong ? 'var(--on-strong)' : 'var(--ink)'}`
            },
              shown));
    });
  });
  const widest = Math.max(...columns.map((column) => textWidth(column))) + 8;
  const every = spec.keepLabels ? 1 : Math.ceil(widest / cell);
  columns.forEach((column, c) => {
    const x = Math.min(size + (c + 0.5) * cell, full - textWidth(column) / 2);
    if (c % every === 0)
      chart.append(
          s('text', {x, y: height - 8, 'text-anchor': 'middle'},
            spec.keepLabels ? fit(column, cell - 3) : column));
  });
  chart.append(s(
      'text',
      {class: 'unit', x: Math.min(full, size + cell * columns.length), y: 12, 'text-anchor': 'end'},
      spec.columnName));
  chart.addEventListener('pointerleave', hideTip);
  return chart;
}

// spec: title, unit, bars: [{label, color, value}], reference, format, suffix
function drawBars(spec, width) {
  const stacked = width < 440,
        room = textWidth(spec.format(Math.max(...spec.bars.map((bar) => bar.value)))) + 12;
  const left = stacked ?
      0 :
      Math.min(0.45 * width, 12 + Math.max(...spec.bars.map((bar) => textWidth(bar.label))));
  const tall = stacked ? 38 : 25, top = 22,
        high = Math.max(...spec.bars.map((bar) => bar.value), spec.reference || 0) || 1;
  const X = (v) => left + (v / high) * (width - left - room);
  const height = top + tall * spec.bars.length + 22;
  const chart =
      svg(width, height,
          `${spec.title}, ${spec.unit}: ${
              spec.bars.map((bar) => `${bar.label} ${spec.format(bar.value)}`).join(', ')}`);
  const foot = top + tall * spec.bars.length;
  chart.append(s('text', {class: 'unit', x: 0, y: 12}, spec.unit));
  for (const [v, , all] of ticks(0, high, Math.min(4, width / 110)).map((...each) => each))
    chart.append(
        s('line', {x1: X(v), x2: X(v), y1: top, y2: foot, stroke: 'var(--grid)'}),
        s('text', {x: X(v), y: foot + 15, 'text-anchor': v === 0 ? 'start' : 'middle'},
          fixed(decimals(all[1]))(v) + (spec.suffix || '')));
  spec.bars.forEach((bar, index) => {
    const y = top + index * tall + (stacked ? 17 : 4);
    chart.append(
        s('text', {
          class: 'value',
          x: stacked ? 0 : left - 10,
          y: stacked ? y - 4 : y + 12,
          'text-anchor': stacked ? 'start' : 'end'
        },
          s('title', {}, bar.label), fit(bar.label, stacked ? width : left - 12)),
        s('rect', {
          x: left,
          y,
          width: Math.max(1, X(bar.value) - left),
          height: 16,
          rx: 2,
          fill: bar.color,
          opacity: 0.85
        }),
        s('text', {class: 'value halo', x: X(bar.value) + 6, y: y + 12}, spec.format(bar.value)));
  });
  if (spec.reference)
    chart.querySelector('rect').before(s('line', {
      x1: X(spec.reference),
      x2: X(spec.reference),
      y1: top - 3,
      y2: foot,
      stroke: 'var(--ink)',
      'stroke-dasharray': '3 3'
    }));
  return chart;
}

// Colours of the maps run from one hue over the neutral middle to another.
const mix = (hue, share) => ({
  fill: `color-mix(in oklab, var(--${hue}) ${Math.round(100 * share)}%, var(--middle))`,
  strong: share > 0.68
});
const paintAngle = (angle) =>
    (angle <= 90 ? mix('cool', 1 - angle / 90) : mix('warm', Math.min(1, (angle - 90) / 60)));
const paintRatio = (ratio) => {
  const share = Math.max(-1, Math.min(1, Math.log2(ratio) / 3));
  return mix(share > 0 ? 'more' : 'less', Math.abs(share));
};
const scaleBar = (left, right, ...labels) =>
    h('div', {class: 'scale'}, h('i', {
        style: `background: linear-gradient(in oklab to right, var(--${
            left}), var(--middle), var(--${right}))`
      }),
      labels.map((label) => h('span', {}, label)));

// ---------------------------------------------------------------- sections

const main = document.getElementById('main'), contents = document.getElementById('contents');

function section(id, title, about) {
  const node =
      h('section', {id}, h('div', {class: 'head'}, h('h2', {}, title)),
        about && h('p', {class: 'about'}, about));
  main.append(node);
  contents.append(h('a', {href: `#${id}`}, title));
  return node;
}
function grid(parent, kind = '') {
  const node = h('div', {class: `grid ${kind}`});
  parent.append(node);
  return node;
}
function switchButton(label, key) {
  return h(
      'button', {
        type: 'button',
        class: 'option',
        'aria-pressed': 'false',
        'data-switch': key,
        click: () => {
          state[key] = !state[key];
          for (const button of document.querySelectorAll(`[data-switch=${key}]`))
            button.setAttribute('aria-pressed', state[key]);
          redraw();
        }
      },
      label);
}
/** Chips that show and hide rules in every line chart of the page. */
function legend(parent, shown, ...options) {
  const chip = (group) => {
    const index = groups.indexOf(group);
    const toggle = () => {
      if (!state.hidden.delete(group)) state.hidden.add(group);
      for (const twin of document.querySelectorAll(`[data-group="${index}"]`))
        twin.setAttribute('aria-pressed', !state.hidden.has(group));
      redraw();
    };
    const attributes = {type: 'button', 'aria-pressed': 'true', 'data-group': index, click: toggle};
    return h('button', attributes, swatch(group), group.label);
  };
  const chips = several ? shown.map(chip) : [];
  parent.querySelector('.head').append(...options);
  if (chips.length) parent.append(h('div', {class: 'legend'}, chips));
}

const visible = () => groups.filter((group) => !state.hidden.has(group));
const epochs = unique(groups.flatMap((group) => group.epochs)).sort((a, b) => a - b);
const halfway = epochs.length ? (epochs[0] + epochs[epochs.length - 1]) / 2 : 0;
const lateSwitch = () => (epochs.length > 5 ? [switchButton('Second half only', 'late')] : []);

/** A line chart, or null when no visible rule has a point. */
function lineChart(spec) {
  const lines = spec.lines.map(
      (line) => ({...line, points: line.points.filter((p) => !state.late || p.x >= halfway)}));
  if (!lines.some((line) => line.points.length)) return null;
  return {
    x: 'epoch',
    draw: drawLines,
    key: several || lines.length < 2 ? spec.key : lines,
    ...spec,
    lines
  };
}
const perRule = (pick) => visible().map((group) => ({...group, points: curve(group, pick)}));

const QUANTITY = {
  accuracy: {
    unit: '% of samples',
    floor: 0,
    ceiling: 1,
    clipStart: true,
    format: (v) => `${percent(v)}${THIN}%`,
    tick: (v, step) => fixed(decimals(100 * step))(100 * v)
  },
  loss: {
    unit: 'loss per sample',
    floor: 0,
    log: true,
    format: significant,
    tick: (v, step) => fixed(decimals(step))(v)
  },
  angle: {
    unit: 'degrees',
    floor: 0,
    ceiling: 180,
    at: 90,
    format: (v) => fixed(1)(v) + DEGREE,
    tick: (v, step) => fixed(decimals(step))(v) + DEGREE,
    ticks: (low, high, count) =>
        (high - low > 60 ? [0, 30, 60, 90, 120, 150, 180].filter((v) => v >= low && v <= high) :
                           ticks(low, high, count))
  },
  factor: {log: true, format: significant, tick: (v, step) => fixed(decimals(step))(v)},
};

function opening() {
  const top = data.summary, one = groups[0];
  const common = (key) => {
    const values = unique(
        [top, ...allRuns.map((run) => run.summary)].map((o) => text(o[key])).filter(Boolean));
    return values.length === 1 ? values[0] : '';
  };
  const net = common('net'), set = common('data'), epochCount = common('epochs');
  const title =
      (several ? `${groups.length} learning rules` : one.label) + (set ? ` on ${set}` : '');
  document.title = `${title} ${DASH} altprop report`;
  const seeds = unique(groups.map((group) => group.runs.length));
  const runs = seeds.length > 1 ? plural(allRuns.length, 'run') + ' in all' :
      seeds[0] > 1              ? `${seeds[0]} seeds each` :
                                  '';
  main.append(
      h('h1', {}, title),
      h('p', {class: 'lead'}, 'The network ', net && h('span', {class: 'name'}, net), net && ' ',
        'was trained', set && ` on ${set}`,
        epochCount && ` for ${plural(Number(epochCount) || epochCount, 'epoch')}`,
        several ? ` with ${groups.length} learning rules` : ` with the learning rule ${one.label}`,
        runs && (several ? ` (${runs})` : ` from ${plural(seeds[0], 'seed')}`), '. ', finding()));

  const terms = [
    [
      'Learning rule',
      'How the error at the output becomes a change of each weight. Backprop follows ' +
          'the exact gradient; every other rule replaces part of that computation.'
    ],
    parameterNames.length &&
        [
          'Angle to backprop',
          'The angle between a rule\'s update and the exact gradient on the same batch. ' +
              '0\u00b0 is the same direction, below 90\u00b0 still goes downhill, 90\u00b0 ' +
              'is unrelated.'
        ],
    parameterNames.length &&
        [
          'Magnitude ratio',
          'The length of a rule\'s update divided by that of the exact gradient. 1 is ' +
              'the same length.'
        ],
    allRuns.length > groups.length &&
        [
          '\u00b1 and shaded bands',
          'Mean and standard deviation over seeds: repetitions that differ only in their ' +
              'random numbers.'
        ],
  ].filter(Boolean);
  main.append(
      h('dl', {class: 'terms'},
        terms.map(([term, meaning]) => h('div', {}, h('dt', {}, term), h('dd', {}, meaning)))));
}

const accuracyOf = (group) =>
    statistics(group.runs.map((run) => number(run.summary.test_accuracy)));
const angleAtEnd = (group) =>
    statistics(group.runs.map((run) => final(run, (record) => meanOverWeights(record, angleOf))));

/** One sentence with the main result. */
function finding() {
  const ranked =
      groups.map((group) => ({group, accuracy: accuracyOf(group), angle: angleAtEnd(group)}))
          .filter((row) => row.accuracy)
          .sort((a, b) => b.accuracy.mean - a.accuracy.mean);
  if (!ranked.length) return '';
  const say = (row) => `${percent(row.accuracy.mean)}${THIN}%`;
  const tilt = (row) =>
      (row.angle && !row.group.exact ?
           `, ${row.angle.mean.toFixed(0)}${DEGREE} from backprop on average` :
           '');
  const exact = ranked.find((row) => row.group.exact),
        other = ranked.find((row) => !row.group.exact);
  if (!several) return `It reached a test accuracy of ${say(ranked[0])}${tilt(ranked[0])}.`;
  if (!exact || !other)
    return `The highest test accuracy is ${say(ranked[0])}, by ${ranked[0].group.label}${
        tilt(ranked[0])}.`;
  return `Backprop reached a test accuracy of ${say(exact)}; the best of the others, ${
      other.group.label}, reached ${say(other)}${tilt(other)}.`;
}

const stepRelative = (run) => number(run.summary.time_relative_to_backprop);
const memoryRelative = (run) => number(run.summary.memory_relative_to_backprop);
const milliseconds = (run) => {
  const v = number(run.summary.step_seconds);
  return v === null ? null : 1000 * v;
};
const mebibytes = (run) => {
  const v = number(run.summary.peak_memory_bytes);
  return v === null ? null : v / 2 ** 20;
};
const relativeTime = allRuns.some((run) => stepRelative(run) !== null),
      relativeMemory = allRuns.some((run) => memoryRelative(run) !== null);

function results() {
  const bySeed = (pick) => (group) => statistics(group.runs.map(pick));
  const others = (group) => !group.exact;
  const columns = [
    {title: 'Test accuracy', unit: '%', of: accuracyOf, format: percent, better: (a) => -a},
    {
      title: 'Test loss',
      of: bySeed((run) => number(run.summary.test_loss)),
      format: significant,
      better: (a) => a
    },
    {
      title: 'Angle to backprop',
      unit: 'degrees',
      of: angleAtEnd,
      format: fixed(1),
      better: (a) => a,
      compete: others
    },
    {
      title: 'Magnitude ratio',
      unit: 'update / gradient',
      of: bySeed((run) => final(run, (record) => meanOverWeights(record, ratioOf))),
      format: fixed(2),
      better: (a) => Math.abs(Math.log(a)),
      compete: others
    },
    relativeTime ? {
      title: 'Time per step',
      unit: 'backprop = 1',
      of: bySeed(stepRelative),
      format: fixed(2),
      better: (a) => a,
      compete: others
    } :
                   {
                     title: 'Time per step',
                     unit: 'ms',
                     of: bySeed(milliseconds),
                     format: significant,
                     better: (a) => a
                   },
    relativeMemory ? {
      title: 'Peak memory',
      unit: 'backprop = 1',
      of: bySeed(memoryRelative),
      format: fixed(2),
      better: (a) => a,
      compete: others
    } :
                     {
                       title: 'Peak memory',
                       unit: 'MiB',
                       of: bySeed(mebibytes),
                       format: fixed(0),
                       better: (a) => a
                     },
  ].map((column) => ({
          ...column,
          cells: new Map(groups.map((group) => [group, column.of(group)]))
        })).filter((column) => [...column.cells.values()].some(known));

  for (const column of columns) {
    const scores = groups.filter(
        (group) => column.cells.get(group) && (column.compete || (() => true))(group));
    const score = (group) => column.better(column.cells.get(group).mean);
    const least = Math.min(...scores.map(score));
    column.best =
        new Set(scores.length > 1 ? scores.filter((group) => score(group) === least) : []);
  }

  const status = (group) => {
    const count = new Map();
    for (const run of group.runs) {
      const word = text(run.summary.status) || 'not recorded';
      count.set(word, (count.get(word) || 0) + 1);
    }
    return count.size === 1 ? [...count.keys()][0] :
                              [...count].map(([word, n]) => `${n} ${word}`).join(', ');
  };
  const cell = (column, group) => {
    const value = column.cells.get(group);
    if (!value) return h('td', {}, DASH, h('span', {class: 'spread'}));
    const spread = value.deviation === null ?
        '' :
        `\u00b1${THIN}${column.format(value.deviation, value.mean)}`;
    const partial = value.n < group.runs.length ?
        `only ${value.n} of ${group.runs.length} runs have a value` :
        null;
    return h(
        'td', {class: column.best.has(group) && 'best', title: partial}, column.format(value.mean),
        partial && h('span', {class: 'star'}, '*'),
        allRuns.length > groups.length && h('span', {class: 'spread'}, spread));
  };
  const rows = new Map(groups.map((group) => {
    const word = status(group);
    return [
      group,
      h('tr', {},
        h('td', {}, h('div', {class: 'rule'}, several && swatch(group), breakable(group.label))),
        columns.map((column) => cell(column, group)),
        h('td', {class: /^(done|not recorded)$/.test(word) ? '' : 'problem'}, word))
    ];
  }));

  const body = h('tbody', {}, [...rows.values()]);
  const heads = [];
  const sortable = (title, unit, key) => {
    const head =
        h('th', {scope: 'col'},
          several ? h('button', {
            type: 'button',
            click: () => {
              const down = head.getAttribute('aria-sort') === 'ascending';
              heads.forEach((other) => other.removeAttribute('aria-sort'));
              head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
              const order = [...groups].sort((a, b) => {
                const x = key(a), y = key(b);
                if (!known(x) || !known(y))
                  return known(y) - known(x);  // unknown values stay at the end
                return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
              });
              body.replaceChildren(...order.map((group) => rows.get(group)));
            }
          },
                      title) :
                    title,
          unit && h('small', {}, unit));
    heads.push(head);
    return head;
  };
  const head =
      h('tr', {}, sortable('Rule', '', (group) => group.label),
        columns.map(
            (column) =>
                sortable(column.title, column.unit, (group) => column.cells.get(group)?.mean)),
        sortable('Status', '', status));
  const marked = columns.some((column) => column.best.size);
  const partial = columns.some(
      (column) => groups.some(
          (group) => column.cells.get(group) && column.cells.get(group).n < group.runs.length));
  section(
      'results', 'Results',
      several &&
          [
            'At the end of training. Click a heading to sort.',
            marked &&
                ' The best value of a column is marked; where a column compares with backprop, ' +
                    'the best of the other rules.',
            partial && ' * Some of the runs have no such value and do not count.'
          ].filter(Boolean)
              .join(''))
      .append(
          h('div', {class: 'scroll'}, h('table', {class: 'results'}, h('thead', {}, head), body)));
}

function learning() {
  const sets = [['test', 'Test'], ['train', 'Training'], ['validation', 'Validation']];
  const has = (key) => anyRecord(field(key));
  if (!sets.some(([set]) => has(`${set}_accuracy`) || has(`${set}_loss`))) return;
  const node = section(
      'learning', 'Learning curves',
      several ? 'Click a rule to hide it. Point at a chart to read its values.' :
                'Point at a chart to read its values.');
  legend(node, groups, ...lateSwitch());
  const charts = grid(node, 'wide');
  for (const quantity of ['accuracy', 'loss']) {
    const present = sets.filter(([set]) => has(`${set}_${quantity}`));
    if (!several && present.length) {  // one rule: its sets share a chart
      const title = quantity === 'loss' ? 'Loss' : 'Accuracy';
      const lines = present.map(([set, name], i) => {
        const points = curve(groups[0], field(`${set}_${quantity}`));
        return {
          label: name.toLowerCase(),
          color: `var(--c${i})`,
          dash: [null, '7 3', '2 3'][i],
          points
        };
      });
      figure(charts, () => lineChart({...QUANTITY[quantity], title, lines}));
      continue;
    }
    for (const [set, name] of present) {
      const title = `${name} ${quantity}`;
      const lines = () => perRule(field(`${set}_${quantity}`));
      figure(charts, () => lineChart({...QUANTITY[quantity], title, lines: lines()}));
    }
  }
}

/** Means over seeds of a rule's value for one parameter: at one epoch, at the end. */
function atEpoch(group, name, epoch, pick) {
  const read = inEntry('gradient', name, pick);
  return statistics(group.runs.map((run) => read(run.at.get(epoch))))?.mean ?? null;
}
function atEnd(group, name, pick) {
  const read = inEntry('gradient', name, pick);
  return statistics(group.runs.map((run) => final(run, read)))?.mean ?? null;
}
const short = (name) =>
    (weightNames.length && !state.biases ? name.replace(/\.weight$/, '') : name);

function gradientMaps(node, look) {
  const names = () => (state.biases ? parameterNames : weightNames);
  const shown = groups.filter(
      (group) => (!group.exact || !several) &&
          group.runs.some(
              (run) => known(final(run, (record) => meanOverWeights(record, look.pick)))));
  if (several)
    figure(grid(node, 'one'), () => ({
                                ...look,
                                title: look.finalTitle,
                                draw: drawMap,
                                rows: shown.map((group) => group.label),
                                columns: names().map(short),
                                value: (r, c) => atEnd(shown[r], names()[c], look.pick),
                                rowName: 'rule',
                                columnName: 'layer',
                                narrowest: 26,
                                keepLabels: true,
                                widest: 250
                              }));
  const maps = grid(node, several ? 'small' : 'one');
  for (const group of shown) {
    const columns = thin(
        group.epochs.filter(
            (epoch) => names().some((name) => known(atEpoch(group, name, epoch, look.pick)))),
        40);
    if (columns.length > 1 || !several)
      figure(maps, () => ({
                     ...look,
                     group,
                     title: several ? group.label : look.title,
                     draw: drawMap,
                     rows: names().map(short),
                     columns: columns.map(text),
                     value: (r, c) => atEpoch(group, names()[r], columns[c], look.pick),
                     rowName: 'layer',
                     columnName: 'epoch'
                   }));
  }
}

function angles() {
  const withAngles = groups.filter(
      (group) => group.runs.some(
          (run) => known(final(run, (record) => meanOverWeights(record, angleOf)))));
  if (!withAngles.length) return;
  const options = weightNames.length < parameterNames.length ?
      [switchButton('Show biases in the maps', 'biases')] :
      [];
  const mean = (record) => meanOverWeights(record, angleOf);
  const node = section(
      'angles', 'Angle to backprop',
      'How far each rule\'s update points away from the exact gradient, measured on ' +
          'a probe batch. Layers run from the input to the output.');
  legend(node, withAngles, ...options);
  if (several && withAngles.some((group) => curve(group, mean).length > 1))
    figure(
        grid(node, 'one'),
        () => lineChart({...QUANTITY.angle, title: 'Mean over the weights', lines: perRule(mean)}));
  node.append(scaleBar(
      'cool', 'warm', '0\u00b0 same direction', '90\u00b0 unrelated', '150\u00b0 and more'));
  gradientMaps(node, {
    pick: angleOf,
    paint: paintAngle,
    title: 'Angle by layer and epoch',
    finalTitle: 'At the end of training',
    format: (v) => fixed(1)(v) + DEGREE,
    short: (v) => [fixed(0)(v) + DEGREE, fixed(0)(v)]
  });
}

function ratios() {
  if (!anyRecord((record) => meanOverWeights(record, ratioOf))) return;
  const node = section(
      'ratios', 'Magnitude ratio',
      'How long each rule\'s update is, divided by the exact gradient: above 1 it ' +
          'steps further than backprop would with the same learning rate, below 1 less ' +
          'far.');
  node.append(scaleBar('less', 'more', '\u215b and less', '1, as backprop', '8 and more'));
  gradientMaps(node, {
    pick: ratioOf,
    paint: paintRatio,
    title: 'Ratio by layer and epoch',
    finalTitle: 'At the end of training',
    format: significant,
    short: (v) => [fixed(2)(v), fixed(v < 9.95 ? 1 : 0)(v)]
  });
}

/** One chart per name; beyond the first few they wait in a fold. */
function perLayer(node, names, specify) {
  const limit = 9;
  const charts = grid(node, 'small');
  names.slice(0, limit).forEach((name) => figure(charts, () => specify(name)));
  if (names.length <= limit) return;
  const folded = h('div', {class: 'grid small'});
  node.append(
      h('details', {toggle: redraw}, h('summary', {}, `${names.length - limit} more`), folded));
  names.slice(limit).forEach((name) => figure(folded, () => specify(name)));
}

function feedback() {
  const names = namesIn('alignment', (entry) => angleOf(entry) !== null);
  if (!names.length) return;
  const of = (name, pick) => inEntry('alignment', name, pick);
  const norm = (entry) => number(entry.norm_ratio);
  const taking =
      groups.filter((group) => names.some((name) => curve(group, of(name, angleOf)).length));
  const node = section(
      'feedback', 'Feedback weights',
      'Rules with feedback weights of their own: the angle between those and the ' +
          'forward weights they stand in for. Where it shrinks, the two become alike.');
  legend(
      node, taking, ...lateSwitch(),
      ...(namesIn('alignment', (entry) => norm(entry) !== null).length ?
              [switchButton('Norm ratio instead of angle', 'norms')] :
              []));
  const look = () =>
      (state.norms ?
           {...QUANTITY.factor, unit: 'norm of feedback / norm of forward weights', pick: norm} :
           {...QUANTITY.angle, pick: angleOf});
  const drawn = (lines) => lines.filter((line) => line.points.length);
  const byRule = (name) =>
      lineChart({...look(), title: name, lines: drawn(perRule(of(name, look().pick)))});
  const byLayer = () => {
    const lines = names.map((name, i) => {
      const points = curve(groups[0], of(name, look().pick));
      return {label: name, color: `var(--c${i % 7})`, dash: i < 7 ? null : '7 3', points};
    });
    return lineChart({...look(), title: 'By layer', lines});
  };
  if (several) {
    perLayer(node, names, byRule);
  } else {
    figure(grid(node, 'one'), byLayer);
  }

  const predicted = (entry) => number(entry.predicted_factor),
        measured = (entry) => number(entry.measured_factor);
  const lawful = namesIn('alignment', (entry) => predicted(entry) !== null);
  if (!lawful.length) return;
  node.append(
      h('p', {class: 'about next'},
        'Some rules obey an exact law: it predicts by which factor the difference ' +
            'between feedback and forward weights shrinks. The circles were measured, the ' +
            'dashed lines predicted; they should agree.'));
  const key = [
    {label: 'predicted', color: 'var(--soft)', dash: '4 3'},
    {label: 'measured', color: 'var(--soft)', dots: true}
  ];
  perLayer(node, lawful, (name) => {
    const lines = visible().flatMap((group) => {
      const law = curve(group, of(name, predicted)), fact = curve(group, of(name, measured));
      return [
        {label: `${group.label}, predicted`, color: group.color, dash: '4 3', points: law},
        {label: `${group.label}, measured`, color: group.color, dots: true, points: fact}
      ];
    });
    const title = `${name}: predicted and measured`;
    return lineChart({...QUANTITY.factor, unit: 'factor', title, key, lines: drawn(lines)});
  });
}

function cost() {
  if (!several) return;  // a single run's cost stands in the table
  const bars = (pick) =>
      groups.map((group) => ({...group, value: statistics(group.runs.map(pick))?.mean}))
          .filter((bar) => known(bar.value));
  const charts = [
    relativeTime ? {
      title: 'Time per training step',
      unit: 'relative to backprop',
      reference: 1,
      bars: bars(stepRelative),
      suffix: TIMES,
      format: (v) => fixed(2)(v) + TIMES
    } :
                   {
                     title: 'Time per training step',
                     unit: 'milliseconds',
                     bars: bars(milliseconds),
                     format: significant
                   },
    relativeMemory ? {
      title: 'Peak memory',
      unit: 'relative to backprop',
      reference: 1,
      bars: bars(memoryRelative),
      suffix: TIMES,
      format: (v) => fixed(2)(v) + TIMES
    } :
                     {title: 'Peak memory', unit: 'MiB', bars: bars(mebibytes), format: fixed(0)},
  ].filter((chart) => chart.bars.length);
  if (!charts.length) return;
  const node = grid(section('cost', 'Cost', 'What one training step takes. Less is better.'));
  for (const chart of charts) figure(node, () => ({...chart, draw: drawBars}));
}

function settings() {
  const top = [
    'net', 'data', 'epochs', 'loss', 'optimizer', 'learning_rate', 'batch', 'device', 'dtype',
    'threads', 'parameters'
  ];
  const skip = new Set(['seed', 'seeds', 'rule', 'rules', 'out', 'label', 'folder']);
  const of = (group) => {
    const values = new Map();
    for (const {summary} of group.runs) {
      const all = [
        ...top.map((key) => [key, summary[key]]),
        ...Object.entries(isObject(summary.settings) ? summary.settings : {}),
        ...Object.entries(isObject(summary.rule_options) ? summary.rule_options : {})
      ];
      for (const [key, value] of all)
        if (!skip.has(key) && text(value) !== '')
          values.set(key, unique([...(values.get(key) || []), text(value)]));
    }
    return new Map([...values].map(([key, list]) => [key, list.join(' or ')]));
  };
  const maps = groups.map(of);
  const keys = unique(maps.flatMap((map) => [...map.keys()]));
  if (!keys.length) return;
  const shared = (key) => maps.every((map) => map.get(key) === maps[0].get(key));
  const node = section('settings', 'Settings');
  const common = keys.filter(shared);
  const grouped = (value) =>
      (/^\d{5,}$/.test(value) ? Number(value).toLocaleString('en').replaceAll(',', THIN) : value);
  if (common.length)
    build(node, {}, [
      several && h('p', {class: 'about'}, 'The same for every rule:'),
      h('div', {class: 'columns'},
        h('table', {class: 'facts'},
          h('tbody', {},
            common.map(
                (key) =>
                    h('tr', {}, h('td', {}, breakable(key)),
                      h('td', {}, h('code', {}, grouped(maps[0].get(key)))))))))
    ]);
  const differing = keys.filter((key) => !shared(key));
  if (differing.length)
    node.append(
        h('p', {class: 'about next'}, 'Different between rules:'),
        h('table', {class: 'facts different'}, h('tbody', {}, groups.map((group, i) => {
            const own = differing.filter((key) => maps[i].has(key));
            return own.length > 0 &&
                h('tr', {class: 'different'},
                  h('td', {}, h('div', {class: 'rule'}, swatch(group), breakable(group.label))),
                  h('td', {}, own.map((key) => h('code', {}, `${key} = ${maps[i].get(key)}`))));
          }))));
}

function warnings() {
  const heard = new Map();
  for (const group of groups)
    for (const {summary} of group.runs)
      for (const warning of Array.isArray(summary.warnings) ? summary.warnings : [])
        heard.set(text(warning), (heard.get(text(warning)) || new Set()).add(group.label));
  for (const note of data.notes) heard.set(note, new Set());
  if (!heard.size) return;
  const whose = (labels) =>
      labels.size === groups.length ? ' (all rules)' : ` (${[...labels].join(', ')})`;
  const items = [...heard].map(([warning, labels]) => {
    const rules = several && labels.size > 0 && h('span', {class: 'about'}, whose(labels));
    return h('li', {}, warning, rules);
  });
  section('warnings', 'Warnings').append(h('ul', {}, items));
}

function closing() {
  const versions = (key) =>
      unique(allRuns.map((run) => text(run.summary[key])).filter(Boolean)).join(', ');
  const command = Array.isArray(data.summary.command) ? data.summary.command.map(text).join(' ') :
                                                        text(data.summary.command);
  const made = [
    versions('altprop_version') && `altprop ${versions('altprop_version')}`,
    versions('torch_version') && `libtorch ${versions('torch_version')}`
  ].filter(Boolean);
  document.getElementById('footer').append(
      command && h('p', {}, h('code', {}, command)),
      h('p', {}, made.length ? `Trained with ${made.join(' and ')}. ` : '',
        `Page made by altprop ${text(data.report_version)}.`));
}

// ---------------------------------------------------------------- the page

const themeButton = document.getElementById('theme');
const darkness = matchMedia('(prefers-color-scheme: dark)');
function setTheme(dark) {
  root.dataset.theme = dark ? 'dark' : 'light';
  themeButton.textContent = dark ? 'Light' : 'Dark';
}
setTheme(darkness.matches);
darkness.addEventListener('change', () => setTheme(darkness.matches));
themeButton.addEventListener('click', () => setTheme(root.dataset.theme !== 'dark'));

for (const part
         of [opening, results, learning, angles, ratios, feedback, cost, settings, warnings,
             closing, redraw]) {
  try {
    part();
  } catch (error) {
    reportError(error);  // counted by window.onerror; the other parts are still worth showing
  }
}

let drawnAt = main.clientWidth;
addEventListener('resize', () => {
  if (main.clientWidth === drawnAt) return;  // phones resize when their address bar slides away
  drawnAt = main.clientWidth;
  redraw();
});

root.dataset.rendered = document.querySelectorAll('svg.chart').length;
