// Puts the page together: sections in their order, colours, what happens when the width changes.

function closing() {
  const versions = (key) => unique(allRuns.map((run) => text(run.summary[key])).filter(Boolean)).join(', ');
  const {command} = data.summary;
  const line = Array.isArray(command) ? command.map(text).join(' ') : text(command);
  const made = [
    versions('altprop_version') && `altprop ${versions('altprop_version')}`,
    versions('torch_version') && `libtorch ${versions('torch_version')}`,
  ].filter(Boolean);
  document.getElementById('footer').append(
      line && h('p', {}, h('code', {}, line)),
      h('p', {}, made.length ? `Trained with ${made.join(' and ')}. ` : '',
        `Page made by altprop ${text(data.report_version)}.`));
}

const themeButton = document.getElementById('theme');
const darkness = matchMedia('(prefers-color-scheme: dark)');
function setTheme(dark) {
  root.dataset.theme = dark ? 'dark' : 'light';
  themeButton.textContent = dark ? 'Light' : 'Dark';
}
setTheme(darkness.matches);
darkness.addEventListener('change', () => setTheme(darkness.matches));
themeButton.addEventListener('click', () => setTheme(root.dataset.theme !== 'dark'));

const PARTS = [opening, results, learning, angles, ratios, feedback, relaxation, continuous, firing, deployment, density, classes, cost, settings, warnings, closing, redraw];
for (const part of PARTS) {
  try {
    part();
  } catch (error) {
    reportError(error);  // counted by window.onerror; the other parts are still worth showing
  }
}

let drawnAt = main.clientWidth;
function follow() {
  if (main.clientWidth === drawnAt) return;  // phones resize when their address bar slides away
  drawnAt = main.clientWidth;
  redraw();
}
addEventListener('resize', follow);
// What is folded away is printed too.
let folded = [];
addEventListener('beforeprint', () => {
  folded = [...document.querySelectorAll('details:not([open])')];
  folded.forEach((fold) => {
    fold.open = true;
  });
});
addEventListener('afterprint', () => folded.forEach((fold) => {
  fold.open = false;
}));

root.dataset.rendered = document.querySelectorAll('svg.chart').length;
