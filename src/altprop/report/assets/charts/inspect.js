// Exact values under the pointer, at a tap, or by arrow keys once a chart has the focus.

const tip = document.getElementById('tip');
function showTip(x, y, title, rows = []) {
  const line = (row) =>
      h('div', {}, row.color && swatch(row), h('span', {}, breakable(row.label)), h('span', {}, row.value));
  tip.replaceChildren(h('b', {}, title), ...rows.map(line));
  tip.hidden = false;
  const {width, height} = tip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth ? x - 16 - width : x + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(y - height / 2, innerHeight - height - 4))}px`;
}
let closeOpenTip = () => {};

/**
 * Makes a chart tell its values. A spot is whatever the chart understands by a place in it.
 * @param find(x, y) the spot at a point of the drawing, or null
 * @param next(spot, dx, dy) the neighbour of a spot; of null, the first
 * @param show(spot) {title, rows: [{label, value, color, ...}], marks: nodes, x, y}
 */
function inspect(chart, {find, next, show}) {
  const layer = s('g', {'pointer-events': 'none'});
  chart.append(layer);
  let spot = null;
  const close = () => {
    spot = null;
    layer.replaceChildren();
    tip.hidden = true;
  };
  const open = (at, event) => {
    if (!known(at)) return close();
    if (closeOpenTip !== close) closeOpenTip();
    closeOpenTip = close;
    spot = at;
    const {title, rows, marks, x, y} = show(at);
    layer.replaceChildren(...(marks || []));
    const box = chart.getBoundingClientRect(), size = box.width / chart.viewBox.baseVal.width;
    showTip(event ? event.clientX : box.left + x * size, event ? event.clientY : box.top + y * size, title, rows);
  };
  const pointed = (event) => {
    const box = chart.getBoundingClientRect(), size = chart.viewBox.baseVal.width / box.width;
    open(find((event.clientX - box.left) * size, (event.clientY - box.top) * size), event);
  };
  chart.addEventListener('pointermove', pointed);
  chart.addEventListener('pointerdown', pointed);
  // A finger that is lifted leaves too, but its reader still wants to read.
  chart.addEventListener('pointerleave', (event) => event.pointerType !== 'touch' && close());
  chart.addEventListener('blur', close);
  chart.addEventListener('keydown', (event) => {
    const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    if (event.key === 'Escape') return close();
    if (!way[event.key]) return;
    event.preventDefault();
    open(next(spot, ...way[event.key]));
  });
}
document.addEventListener('pointerdown', (event) => {
  if (!event.target.closest('svg.chart')) closeOpenTip();
});
/** `index` moved by `by`, kept among `count`; the first for null. */
const shifted = (index, by, count) => (index === null ? 0 : Math.max(0, Math.min(count - 1, index + by)));
