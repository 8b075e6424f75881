// Reading values that may be missing, building nodes, writing numbers. Text from the records only
// ever becomes text nodes and attribute values, never HTML.
'use strict';

const root = document.documentElement;
root.dataset.errors = 0;
window.onerror = () => {
  root.dataset.errors = Number(root.dataset.errors) + 1;
};

// ---- values

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);
const objects = (v) => (Array.isArray(v) ? v.filter(isObject) : []);
const number = (v) => (typeof v === 'number' && Number.isFinite(v) ? v : null);
const known = (v) => v !== null && v !== undefined;
const unique = (list) => [...new Set(list)];
function text(v) {
  if (!known(v)) return '';
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}

/** At most `limit` items, evenly chosen, always with the last. */
function thin(list, limit) {
  const step = Math.ceil(list.length / limit);
  return list.filter((_, index) => (list.length - 1 - index) % step === 0);
}

// ---- nodes

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function')
      node.addEventListener(name, value);
    else if (known(value) && value !== false)
      node.setAttribute(name, value === true ? '' : value);
  }
  const kept = children.flat(Infinity).filter((c) => known(c) && c !== false && c !== '');
  node.append(...kept);
  return node;
}
/** An HTML element. Attributes that are functions become listeners. */
const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
/** An SVG element. */
const s = (tag, attributes, ...children) =>
    build(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

/** A rule's label or an option's name, which may break at its punctuation. */
const breakable = (name) =>
    h('span', {class: 'label'},
      name.split(/(?=\[)|(?<=,)|(?<=[a-z]-)(?=[a-z])/).flatMap((part, i) => (i ? [h('wbr'), part] : [part])));

// ---- words

const MINUS = '\u2212', TIMES = '\u00d7', DEGREE = '\u00b0', DASH = '\u2013', THIN = '\u202f';
const PLUS_MINUS = '\u00b1', ELLIPSIS = '\u2026', SQUARED = '\u00b2';
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);
/** "a, b and c", with nodes or texts as items. */
const listed = (items) => items.flatMap((item, i) => [i === 0 ? '' : i === items.length - 1 ? ' and ' : ', ', item]);
/** 55050 as "55 050", with narrow spaces. */
const spaced = (v) => String(v).replace(/\B(?=(\d{3})+$)/g, THIN);

// ---- numbers

const fixed = (digits) => (v) => v.toFixed(digits).replace(/^-(?=0(\.0*)?$)/, '').replace('-', MINUS);
const percent = (v) => fixed(2)(100 * v);
/** Three or so digits; `like` gives a spread the digits of its mean. */
function significant(v, like = v) {
  const size = Math.abs(like);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return v.toExponential(1).replace('-', MINUS);
  return fixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)(v);
}
