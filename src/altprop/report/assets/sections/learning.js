// Loss and accuracy over epochs.

function learning() {
  const sets = [['test', 'Test'], ['train', 'Training'], ['validation', 'Validation']];
  const has = (key) => anyRecord(field(key));
  const quantities = ['accuracy', 'loss', ...ownScores.map(({name}) => name)];
  if (!sets.some(([set]) => quantities.some((name) => has(`${set}_${name}`)))) return;
  const node = section(
      'learning', 'Learning curves', several ? 'Click a rule to hide it. ' : '',
      'Point at a chart, tap it, or use the arrow keys to read its values. ',
      'Training values are means over the epoch, while the weights still change; the others are taken at its end.');
  legend(node, groups, ...spreadSwitches(), ...lateSwitch());
  const charts = grid(node, 'wide');
  const units = {accuracy: '% right', loss: 'loss'};
  for (const quantity of quantities) {
    const present = sets.filter(([set]) => has(`${set}_${quantity}`));
    const look = {unit: units[quantity] || '', quantity: QUANTITY[quantity] || {format: significant}};
    if (!several && present.length) {  // one rule: its sets share a chart
      figure(charts, quantity, () => lineChart({
                                 ...look,
                                 title: capital(spelt(quantity)),
                                 lines: present.map(([set, name], i) => ({
                                                      label: name.toLowerCase(),
                                                      color: `var(--c${i})`,
                                                      dash: DASHES[i],
                                                      marker: MARKERS[i],
                                                      points: curve(groups[0], field(`${set}_${quantity}`)),
                                                      singles: singleCurves(groups[0], field(`${set}_${quantity}`)),
                                                    })),
                               }));
      continue;
    }
    for (const [set, name] of present)
      figure(
          charts, `${set}_${quantity}`,
          () => lineChart({...look, title: `${name} ${spelt(quantity)}`, lines: perRule(field(`${set}_${quantity}`))}));
  }
}
