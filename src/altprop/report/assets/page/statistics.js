// Means, spreads, and whether a difference between two rules is more than the luck of their seeds.

/** Of what is known; null when nothing is. The deviation is the sample's, null for one value. */
function statistics(values) {
  const kept = values.filter(known);
  if (!kept.length) return null;
  const mean = kept.reduce((a, b) => a + b) / kept.length;
  const squares = kept.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return {
    mean,
    deviation: kept.length > 1 ? Math.sqrt(squares / (kept.length - 1)) : null,
    low: Math.min(...kept),
    high: Math.max(...kept),
    n: kept.length,
  };
}

/** 97.5 % points of Student's distribution for 1, 2, ... 30 degrees of freedom. */
const STUDENT = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
  2.120,  2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Welch's t-test at 95 %. @returns null where fewer than two values on a side forbid an answer */
function clearlyDifferent(a, b) {
  if (a.n < 2 || b.n < 2) return null;
  const va = a.deviation ** 2 / a.n, vb = b.deviation ** 2 / b.n, difference = Math.abs(a.mean - b.mean);
  if (va + vb === 0) return difference > 0;
  const freedom = (va + vb) ** 2 / (va ** 2 / (a.n - 1) + vb ** 2 / (b.n - 1));
  const bound = STUDENT[Math.min(STUDENT.length, Math.floor(freedom + 1e-9)) - 1];
  return difference > bound * Math.sqrt(va + vb);
}
