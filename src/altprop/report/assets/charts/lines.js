// Curves over epochs, or over `xName`: means over seeds with their spread, or every run by itself.

let clips = 0;

/** [lowest, highest] of what is drawn for a point. */
function reach(point) {
  if (state.spread === 'deviation' && known(point.deviation))
    return [point.mean - point.deviation, point.mean + point.deviation];
  return state.spread === 'deviation' || !known(point.low) ? [point.mean, point.mean] : [point.low, point.high];
}

/** The spread in words, for a point with several seeds. */
function spreadWords(point, format) {
  if (!(point.n > 1)) return '';
  return state.spread === 'deviation' ? ` ${PLUS_MINUS} ${format(point.deviation, point.mean)}` :
                                        ` (${format(point.low)} to ${format(point.high)})`;
}

/** What the lines and bands of this chart are. @param each what a mean is over: a seed, if not said */
function lineNote(lines, clipped, format, each = 'seed') {
  const most = Math.max(1, ...lines.flatMap((line) => line.points.map((p) => p.n || 1)));
  const words = [];
  if (most > 1)
    words.push({
      deviation: `Lines: mean of up to ${most} ${each}s. Bands: ${PLUS_MINUS} one standard deviation.`,
      range: `Lines: mean of up to ${most} ${each}s. Bands: lowest to highest ${each}.`,
      runs: `Thick lines: mean over ${each}s. Thin lines: single runs.`,
    }[state.spread]);
  if (lines.some((line) => (line.singles || []).some((single) => single.diverged)))
    words.push('A large cross marks the last record of a run that diverged.');
  if (clipped.length)
    words.push(`Off the chart: ${clipped.map(([x, v]) => `epoch ${x}, down to ${format(v)}`).join('; ')}.`);
  return words.join(' ');
}

/**
 * A line chart, or null when no visible rule has a point.
 * @param spec title, unit, quantity (see axisFor; also format, at: a reference line, clipStart),
 *   lines: [{label, color, dash, marker, dots, points: [{x, mean, ...}], singles}], xName: what
 *   runs to the right if not epochs, xLog: on a logarithmic scale, each: what means are over if not
 *   seeds
 */
function lineChart(spec) {
  const keep = (points) => points.filter((p) => spec.xName || !state.late || p.x >= halfway);
  const lines = spec.lines
                    .map((line) => ({
                           ...line,
                           points: keep(line.points),
                           singles: (line.singles || [])
                                        .map((single) => ({...single, points: keep(single.points)}))
                                        .filter((single) => single.points.length),
                         }))
                    .filter((line) => line.points.length);
  if (!lines.length) return null;
  const xs = unique(lines.flatMap((line) => line.points.map((p) => p.x))).sort((a, b) => a - b);
  const {framed, clipped} = frame(spec.quantity, lines, xs);
  return {
    kind: 'lines',
    key: several || lines.length < 2 ? spec.key : lines,
    xName: 'epoch',
    ...spec,
    lines,
    xs,
    framed,
    note: [spec.note, lineNote(lines, clipped, spec.quantity.format, spec.each)].filter(Boolean).join(' '),
    draw: drawLines,
    numbers: lineNumbers,
  };
}

/**
 * The values an axis has to cover. The climb out of the first epoch may be left out where it would
 * squeeze all that follows to less than half.
 */
function frame(quantity, lines, xs) {
  const all = lines.flatMap((line) => line.points.flatMap((p) => reach(p).map((v) => [p.x, v])));
  const clamp = ([, v]) => Math.max(quantity.floor ?? -Infinity, Math.min(quantity.ceiling ?? Infinity, v));
  const later = all.filter(([x]) => x > xs[0]);
  const range = (pairs) => Math.max(...pairs.map(clamp)) - Math.min(...pairs.map(clamp));
  if (!quantity.clipStart || xs.length < 6 || range(later) > 0.5 * range(all))
    return {framed: all.map(clamp), clipped: []};
  const least = Math.min(...later.map(clamp));
  const lost = all.filter(([x]) => x === xs[0]).map(clamp).filter((v) => v < least);
  return {
    framed: later.map(clamp),
    clipped: lost.length ? [[xs[0], Math.min(...lost)]] : [],
  };
}

function drawLines(spec, width) {
  const {lines, xs, quantity} = spec;
  const height = 250, top = 26, bottom = 36, right = 12;
  const values = known(quantity.at) && !quantity.log ? [...spec.framed, quantity.at] : spec.framed;
  const means = lines.flatMap((line) => line.points.map((p) => p.mean));
  const axis = axisFor(values, quantity, 5, means);
  const left = Math.max(30, 10 + Math.max(...axis.marks.map(([, label]) => textWidth(label))));
  const across = spec.xLog ? Math.log10 : (x) => x;
  const alone = xs[0] === xs[xs.length - 1];
  const first = across(xs[0]) - (alone ? 1 : 0), last = across(xs[xs.length - 1]) + (alone ? 1 : 0);
  const X = (x) => left + ((across(x) - first) / (last - first)) * (width - left - right);
  const yOf = (scaled) => top + ((axis.high - scaled) / (axis.high - axis.low)) * (height - top - bottom);
  const Y = (v) => Math.max(top - 40, Math.min(height + 40, yOf(axis.scale(v))));
  const points = (list) => list.map(([x, v]) => `${X(x).toFixed(1)},${Y(v).toFixed(1)}`).join(' ');

  const end = (line) => line.points[line.points.length - 1];
  const chart = drawing(
      width, height,
      `${spec.title}, ${spec.unit}, over ${spec.xName}s. At ${spec.xName} ${xs[xs.length - 1]}: ${
          lines.filter((line) => end(line).x === xs[xs.length - 1])
              .map((line) => `${line.label} ${quantity.format(end(line).mean)}`)
              .join(', ')}.`);
  chart.append(unitText(0, 12, spec.unit + (axis.log ? ' (log scale)' : '')));
  for (const [at, label] of axis.marks)
    chart.append(
        gridLine(left, yOf(at), width - right, yOf(at)),
        s('text', {x: left - 7, y: yOf(at) + 4, 'text-anchor': 'end'}, label));
  const below = spec.xLog ? logTicks(first, last) :
                            ticks(first, last, Math.min(6, width / 70), true).filter((x) => x >= 0);
  for (const x of below)
    chart.append(
        s('text', {x: X(x), y: height - bottom + 17, 'text-anchor': 'middle'}, spec.xLog ? logTick(x) : text(x)));
  const rule = (y, look) => s('line', {x1: left, x2: width - right, y1: y, y2: y, ...look});
  chart.append(rule(height - bottom, {stroke: 'var(--faint)'}), unitText(width - right, height - 3, spec.xName, 'end'));
  if (known(quantity.at) && !axis.log)
    chart.append(rule(Y(quantity.at), {stroke: 'var(--faint)', 'stroke-dasharray': '1 3'}));

  const clip = `clip${++clips}`;
  const inside = s('g', {'clip-path': `url(#${clip})`});
  chart.append(
      s('clipPath', {id: clip}, s('rect', {
          x: left - 5,
          y: top - 5,
          width: width - left - right + 10,
          height: height - top - bottom + 10,
        })),
      inside);
  for (const line of lines) inside.append(...spreadMarks(line, points));
  lines.forEach((line, index) => inside.append(...meanMarks(line, index, X, Y, points)));
  for (const line of lines)
    for (const single of line.singles)
      if (single.diverged) {
        const p = single.points[single.points.length - 1];
        inside.append(s('path', {
          class: 'diverged',
          d: 'M-5-5L5 5M-5 5L5-5',
          stroke: line.color,
          'stroke-width': 2.6,
          transform: `translate(${X(p.x).toFixed(1)} ${Y(p.mean).toFixed(1)})`,
        }));
      }

  inspect(chart, {
    find: (x) => {
      const at = first + ((x - left) / (width - left - right)) * (last - first);
      return xs.reduce((a, b) => (Math.abs(across(b) - at) < Math.abs(across(a) - at) ? b : a));
    },
    next: (spot, dx) => xs[spot === null ? xs.length - 1 : shifted(xs.indexOf(spot), dx, xs.length)],
    show: (x) => {
      const here = lines.map((line) => ({...line, point: line.points.find((p) => p.x === x)}))
                       .filter((line) => line.point)
                       .sort((a, b) => b.point.mean - a.point.mean);
      return {
        title: `${spec.xName} ${x}`,
        x: X(x),
        y: top,
        rows: here.map((line) => ({
                         ...line,
                         value: quantity.format(line.point.mean) + spreadWords(line.point, quantity.format),
                       })),
        marks: [
          s('line', {x1: X(x), x2: X(x), y1: top, y2: height - bottom, stroke: 'var(--faint)'}),
          ...here.map((line) => s('circle', {
                        cx: X(x),
                        cy: Y(line.point.mean),
                        r: 3.2,
                        fill: line.color,
                        'clip-path': `url(#${clip})`,
                      })),
        ],
      };
    },
  });
  return chart;
}

/** Bands, or the single runs. */
function spreadMarks(line, points) {
  if (state.spread === 'runs')
    return line.singles.length < 2 ? [] : line.singles.map((single) => s('polyline', {
                                                             class: 'run',
                                                             points: points(single.points.map((p) => [p.x, p.mean])),
                                                             fill: 'none',
                                                             stroke: line.color,
                                                             opacity: 0.55,
                                                             'stroke-width': 1,
                                                             'stroke-dasharray': line.dash,
                                                           }));
  const band = line.points.filter((p) => reach(p)[1] > reach(p)[0]);
  if (band.length === 1) {  // an epoch by itself: a bar
    const [low, high] = reach(band[0]), x = band[0].x;
    return [s('polyline', {
      class: 'band',
      points: points([[x, low], [x, high]]),
      stroke: line.color,
      opacity: 0.45,
      'stroke-width': 5,
    })];
  }
  return band.length < 2 ? [] : [s('polygon', {
    class: 'band',
    fill: line.color,
    opacity: 0.15,
    points: points([...band.map((p) => [p.x, reach(p)[1]]), ...band.reverse().map((p) => [p.x, reach(p)[0]])]),
  })];
}

/** The line of means with a few markers, or markers alone. */
function meanMarks(line, index, X, Y, points) {
  const out = [], count = line.points.length;
  if (!line.dots)
    out.push(s('polyline', {
      class: 'mean',
      'data-label': line.label,
      'data-count': count,
      fill: 'none',
      stroke: line.color,
      'stroke-width': 2,
      'stroke-linejoin': 'round',
      'stroke-dasharray': line.dash,
      points: points(line.points.map((p) => [p.x, p.mean])),
    }));
  // Every few points, and not of every line at the same epoch.
  const every = line.dots ? Math.ceil(count / 25) : Math.max(1, Math.ceil(count / 6));
  line.points.forEach((p, i) => {
    if (line.dots || (line.marker && (i + index) % every === 0) || count === 1)
      out.push(markerAt(
          line.marker || 'circle', X(p.x), Y(p.mean), line.color,
          line.dots ? {class: 'dot', 'data-label': line.label, opacity: i % every === 0 || i === count - 1 ? 1 : 0} :
                      {}));
  });
  return out;
}

function lineNumbers({lines, xs, xName, quantity}) {
  const cell = (line, x) => {
    const point = line.points.find((p) => p.x === x);
    return point && quantity.format(point.mean) + spreadWords(point, quantity.format);
  };
  return {
    columns: [xName, ...lines.map((line) => line.label)],
    rows: xs.map((x) => [text(x), ...lines.map((line) => cell(line, x))]),
  };
}

/** One line per visible rule. */
const perRule = (pick) => visible().map((group) => ({
                                          ...group,
                                          points: curve(group, pick),
                                          singles: singleCurves(group, pick),
                                        }));

const QUANTITY = {
  accuracy: {
    floor: 0,
    ceiling: 1,
    clipStart: true,
    format: (v) => `${percent(v)}${THIN}%`,
    tick: (v, step) => fixed(decimals(100 * step))(100 * v),
  },
  loss: {floor: 0, log: true, format: significant},
  angle: {
    floor: 0,
    ceiling: 180,
    at: 90,
    format: (v) => fixed(1)(v) + DEGREE,
    tick: (v, step) => plainTick(v, step) + DEGREE,
    ticks: (low, high, count) =>
        (high - low > 60 ? [0, 30, 60, 90, 120, 150, 180].filter((v) => v >= low && v <= high) :
                           ticks(low, high, count)),
  },
  ratio: {log: true, at: 1, format: significant},
  factor: {log: true, format: (v) => (v === 0 ? '0' : Number(v.toPrecision(4)).toString().replace('-', MINUS))},
};
