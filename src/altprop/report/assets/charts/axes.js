// What charts share: widths of text, round numbers, scales, markers, and the empty drawing.

const canvas = document.createElement('canvas').getContext('2d');
canvas.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
const widths = new Map();
function textWidth(string) {
  if (!widths.has(string)) widths.set(string, canvas.measureText(string).width);
  return widths.get(string);
}
function fit(string, width) {
  if (textWidth(string) <= width) return string;
  let length = string.length;
  while (length > 1 && textWidth(string.slice(0, length) + ELLIPSIS) > width) --length;
  return string.slice(0, length) + ELLIPSIS;
}

/** Round numbers that cover [low, high] in about `count` steps. */
function ticks(low, high, count, whole = false) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough * 0.75);
  if (whole) step = Math.max(1, Math.round(step));
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) out.push(i * step);
  return out;
}

/** How many decimals tell numbers `step` apart. */
const decimals = (step) => Math.max(0, -Math.floor(Math.log10(step || 1) + 1e-9));
const plainTick = (v, step) => fixed(decimals(step))(v);

/** Powers of ten between 10^low and 10^high, at most six; with 2s and 5s where that leaves few. */
function logTicks(low, high) {
  const decades = high - low, step = Math.ceil(decades / 6), out = [];
  for (let power = Math.floor(low); power <= high; ++power)
    for (const digit of decades < 2.5 ? [1, 2, 5] : [1]) {
      const value = Number(`${digit}e${power}`);
      if (power % step === 0 && Math.log10(value) >= low && Math.log10(value) <= high) out.push(value);
    }
  return out;
}
const logTick = (v) => (v < 1e-3 || v > 1e4 ? v.toExponential(0).replace('-', MINUS).replace('+', '') : text(v));

/**
 * An axis over these values: {log, low, high (scaled), scale, marks: [[scaled, label]]}.
 * @param quantity floor, ceiling (nothing lies beyond), log (if the values span a factor of 30),
 *   tick (writes a round number), ticks (chooses them)
 * @param means those of the values that are no ends of bands
 */
function axisFor(values, quantity, count = 5, means = values) {
  // A band around a mean may reach to zero, which a logarithmic axis has no place for: there the
  // means alone set the range.
  const positive = means.filter((v) => v > 0);
  const log = Boolean(quantity.log) && Math.min(...means) >= 0 && positive.length > 0 &&
      Math.max(...positive) / Math.min(...positive) > 30;
  const scale = log ? (v) => (v > 0 ? Math.log10(v) : -1e9) : (v) => v;
  const covered = log ? positive : values;
  let low = scale(Math.min(...covered)), high = scale(Math.max(...covered));
  if (!(high - low > 1e-9 * Math.max(1, Math.abs(high)))) {
    low -= 0.5 * Math.abs(low) || 0.5;
    high += 0.5 * Math.abs(high) || 0.5;
  }
  const pad = 0.05 * (high - low);
  low = Math.max(log ? -Infinity : quantity.floor ?? -Infinity, low - pad);
  high = Math.min(log ? Infinity : quantity.ceiling ?? Infinity, high + pad);
  const marks = log ?
      logTicks(low, high).map((v) => [Math.log10(v), logTick(v)]) :
      (quantity.ticks || ticks)(low, high, count)
          .map((v, _, all) => [v, (quantity.tick || plainTick)(v, all.length > 1 ? all[1] - all[0] : 1)]);
  return {log, low, high, scale, marks};
}

// ---- markers: shapes tell rules apart where colours cannot

const MARKERS = ['circle', 'square', 'triangle', 'diamond', 'cross', 'wedge'];
const OUTLINES = {
  square: 'M-3-3H3V3H-3Z',
  triangle: 'M0-4L3.8 3H-3.8Z',
  diamond: 'M0-4.2L4.2 0L0 4.2L-4.2 0Z',
  wedge: 'M0 4L3.8-3H-3.8Z',
  cross: 'M-3-3L3 3M-3 3L3-3',
};
function markerAt(shape, x, y, color, attributes = {}) {
  const look = {fill: shape === 'dot' ? color : 'var(--page)', stroke: color, 'stroke-width': 1.6};
  if (shape === 'dot' || shape === 'circle') return s('circle', {cx: x, cy: y, r: 3.2, ...look, ...attributes});
  return s('path', {
    d: OUTLINES[shape],
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
    ...look,
    ...attributes,
  });
}

/** The sign of a series in keys, tables and tooltips. */
function swatch({color, dash, marker, line = true}) {
  const parts = [];
  if (line)
    parts.push(s('line', {
      x1: 0,
      x2: 26,
      y1: 5,
      y2: 5,
      stroke: color,
      'stroke-width': 2.2,
      'stroke-dasharray': dash,
    }));
  if (marker) parts.push(markerAt(marker, 13, 5, color));
  return s('svg', {class: 'swatch', viewBox: '0 0 26 10', 'aria-hidden': 'true'}, ...parts);
}

/** An empty drawing. @param label the text that stands for it where it cannot be seen */
const drawing = (width, height, label) => s('svg', {
  class: 'chart',
  width,
  height,
  viewBox: `0 0 ${width} ${height}`,
  role: 'img',
  tabindex: 0,
  'aria-label': label,
});

const gridLine = (x1, y1, x2, y2) => s('line', {x1, y1, x2, y2, stroke: 'var(--grid)'});
const unitText = (x, y, words, anchor) => s('text', {class: 'unit', x, y, 'text-anchor': anchor}, words);
